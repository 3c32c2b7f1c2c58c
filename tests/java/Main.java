import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** A line of JSON in is a command, a line of JSON out its answer with the requests it took. */
public final class Main {
    private static final Gson GSON = new GsonBuilder().serializeSpecialFloatingPointValues()
        .serializeNulls().create();
    private static int files;
    private static Path folder;

    private Main() {}

    public static void main(String[] args) throws Exception {
        folder = Path.of(args[0]);
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BufferedReader in = new BufferedReader(
            new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonObject c = GSON.fromJson(line, JsonObject.class);
            Http http = new Http(c.has("old") && c.get("old").getAsBoolean());
            Map<String, Object> answer = new LinkedHashMap<>();
            try {
                answer.put("result", run(http, c));
            } catch (Exception e) {
                answer.put("error", e.getClass().getSimpleName() + ": " + e.getMessage());
                e.printStackTrace();
            }
            answer.put("requests", http.takeLog());
            out.println(GSON.toJson(answer));
        }
    }

    private static String text(JsonObject c, String key) {
        return c.has(key) ? c.get(key).getAsString() : "";
    }

    private static int number(JsonObject c, String key, int other) {
        return c.has(key) ? c.get(key).getAsInt() : other;
    }

    private static List<String> texts(JsonObject c, String key) {
        List<String> out = new ArrayList<>();
        c.getAsJsonArray(key).forEach(e -> out.add(e.getAsString()));
        return out;
    }

    private static Object run(Http http, JsonObject c) throws Exception {
        String url = text(c, "url");
        switch (text(c, "op")) {
            case "exists": return http.exists(url);
            case "isDirectory": return http.isDirectory(url);
            case "isFile": return http.isFile(url);
            case "size": return http.size(url);
            case "list": return http.list(url, true);
            case "listAll": return http.list(url, false);
            case "compose": return Http.compose(url, text(c, "path"));
            case "read":
                byte[] data = http.read(url, number(c, "offset", 0),
                    c.has("length") ? c.get("length").getAsLong() : Long.MAX_VALUE);
                return described(data);
            case "reads": return reads(http, c);
            case "plain": return plain(http, c, url);
            case "probe": return new S3Probe(http).run(url);
            case "detect": return Reader.detect(http, url);
            case "bdv": return bdv(http, c, url);
            default: return node(http, c, url);
        }
    }

    private static Object node(Http http, JsonObject c, String url) throws Exception {
        Reader r = Reader.of(text(c, "format"), http, url);
        r.open();
        switch (text(c, "op")) {
            case "open": return r instanceof N5 n ? n.version : true;
            case "nodeExists": return r.exists(text(c, "path"));
            case "deepList": return r.deepList(text(c, "path"));
            case "attributes": return r.attributes(text(c, "path"));
            case "discover": return found(new Discovery(r).find(text(c, "path")));
            case "arrays": return arrays(r, c);
            case "block":
                long[] at = Reader.longs(c.get("at"));
                Reader.Block b = r.block(r.dataset(text(c, "path")), at);
                return b.data() == null ? null : described(b.data());
            default: throw new IllegalArgumentException(text(c, "op"));
        }
    }

    private static Map<String, Object> described(byte[] data) {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("length", data.length);
        out.put("hash", Arrays.hashCode(data));
        return out;
    }

    private static Object plain(Http http, JsonObject c, String url) throws Exception {
        Map<String, String> headers = new LinkedHashMap<>();
        if (c.has("headers")) {
            c.getAsJsonObject("headers").entrySet()
                .forEach(e -> headers.put(e.getKey(), e.getValue().getAsString()));
        }
        boolean follow = !c.has("follow") || c.get("follow").getAsBoolean();
        String method = c.has("method") ? text(c, "method") : "GET";
        List<Object> out = new ArrayList<>();
        for (int i = 0; i < number(c, "times", 1); i++) {
            out.add(http.plain(method, url, headers, follow));
        }
        return out;
    }

    /** Each URL read whole, by so many threads, so many times; failures are answers here. */
    private static Object reads(Http http, JsonObject c) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(number(c, "threads", 1));
        List<Future<String>> parts = new ArrayList<>();
        long start = System.nanoTime();
        for (int i = 0; i < number(c, "times", 1); i++) {
            for (String one : texts(c, "urls")) {
                Callable<String> work = () -> {
                    try {
                        return "" + http.read(one).length;
                    } catch (java.io.IOException e) {
                        return e.getClass().getSimpleName() + ": " + e.getMessage();
                    }
                };
                parts.add(pool.submit(work));
            }
        }
        List<String> answers = new ArrayList<>();
        for (Future<String> part : parts) {
            answers.add(part.get());
        }
        pool.shutdown();
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("answers", answers);
        out.put("ms", (System.nanoTime() - start) / 1e6);
        return out;
    }

    private static Map<String, Object> read(Reader r, Reader.Dataset d, int threads)
            throws Exception {
        Volume v = r.readAll(d, threads);
        Path file = folder.resolve(files++ + ".bin");
        v.write(file);
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("path", d.path);
        out.put("dims", d.dims);
        out.put("block", d.block);
        out.put("type", d.type);
        out.put("missing", v.missing.get());
        out.put("file", file.toString());
        out.put("document", d.document);
        return out;
    }

    private static Object arrays(Reader r, JsonObject c) throws Exception {
        Map<String, Object> out = new LinkedHashMap<>();
        for (String path : texts(c, "paths")) {
            try {
                out.put(path, read(r, r.dataset(path), number(c, "threads", 4)));
            } catch (java.io.IOException e) {
                out.put(path, Map.of("error", e.getClass().getSimpleName() + ": "
                    + e.getMessage()));
            }
        }
        return out;
    }

    private static Object found(List<Discovery.Image> images) {
        JsonElement tree = GSON.toJsonTree(images);
        return tree;
    }

    private static Object bdv(Http http, JsonObject c, String url) throws Exception {
        Bdv bdv = new Bdv(http, url);
        Map<String, Object> out = bdv.description();
        List<Object> views = new ArrayList<>();
        for (int t : bdv.timepoints) {
            for (Bdv.Setup s : bdv.setups) {
                for (int level = s.factors.length - 1; level >= 0; level--) { // coarse first
                    Map<String, Object> view = read(bdv.n5, bdv.dataset(t, s, level),
                        number(c, "threads", 2));
                    view.put("timepoint", t);
                    view.put("setup", s.id);
                    view.put("level", level);
                    view.put("origin", bdv.world(t, s, level, 0, 0, 0));
                    view.put("corner", bdv.world(t, s, level, 1, 2, 3));
                    views.add(view);
                }
            }
        }
        out.put("views", views);
        return out;
    }
}
