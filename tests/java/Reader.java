import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** What the readers of N5, Zarr v2 and Zarr v3 have in common: cached documents, blocks, lists. */
abstract class Reader {
    /** A block: its size, x first, and its little-endian items; null data where there is none. */
    record Block(int[] size, byte[] data) {}

    /** An array as n5 sees it: x first. */
    static class Dataset {
        String path;
        long[] dims;
        int[] block;
        String type;
        JsonObject document;
    }

    static final class NotADataset extends IOException {
        private static final long serialVersionUID = 1L;

        NotADataset(String why) {
            super(why);
        }
    }

    final Http http;
    final String root;
    private final Map<String, JsonElement> cached = new ConcurrentHashMap<>();

    Reader(Http http, String root) {
        this.http = http;
        this.root = root;
    }

    String url(String... parts) {
        return Http.compose(root, parts);
    }

    /** A document, asked for once in a reader's life whether it is there or not; null if not. */
    JsonObject document(String url, boolean headFirst) throws IOException {
        JsonElement seen = cached.get(url);
        if (seen == null) {
            seen = com.google.gson.JsonNull.INSTANCE;
            if (!headFirst || http.isFile(url)) {
                try {
                    String text = new String(http.read(url), StandardCharsets.UTF_8);
                    seen = new Gson().fromJson(text, JsonObject.class);
                } catch (Http.NoSuchKey e) {
                    // remembered as absent
                } catch (JsonParseException e) {
                    throw new IOException("not JSON: " + url, e);
                }
            }
            cached.put(url, seen == null ? new JsonObject() : seen);
        }
        return cached.get(url).isJsonObject() ? cached.get(url).getAsJsonObject() : null;
    }

    abstract void open() throws IOException;

    /** Throws NotADataset where the reader would not take it for one. */
    abstract Dataset dataset(String path) throws IOException;

    /** All attributes that metadata parsers see; null where there is no such node. */
    abstract JsonObject attributes(String path) throws IOException;

    abstract Block block(Dataset d, long[] at) throws IOException;

    abstract boolean exists(String path) throws IOException;

    /** Whether units, scales and axes come slowest first and are to be turned round. */
    abstract boolean reversed();

    byte[] missing(Dataset d) {
        return new byte[Volume.itemSize(d.type)];
    }

    boolean isDataset(String path) throws IOException {
        try {
            return dataset(path) != null;
        } catch (NotADataset e) {
            return false;
        }
    }

    List<String> list(String path) throws IOException {
        return http.list(url(path), true);
    }

    /** All nodes below a path; datasets are marked and not listed. */
    List<String> deepList(String path) throws IOException {
        List<String> out = new ArrayList<>();
        if (isDataset(path)) {
            return out;
        }
        for (String name : list(path)) {
            if (name.equals("..")) {
                throw new IOException("a link to the parent in the listing of " + path);
            }
            String child = path.isEmpty() ? name : path + "/" + name;
            out.add(isDataset(child) ? child + "*" : child);
            out.addAll(deepList(child));
        }
        return out;
    }

    /** The whole array by its blocks, with so many threads. */
    Volume readAll(Dataset d, int threads) throws IOException {
        Volume v = new Volume(d.dims, d.type);
        long[] grid = Volume.grid(d.dims, d.block);
        ExecutorService pool = Executors.newFixedThreadPool(Math.max(threads, 1));
        try {
            List<Future<?>> parts = new ArrayList<>();
            for (long n = 0; n < Volume.count(grid); n++) {
                long[] at = Volume.position(grid, n);
                parts.add(pool.submit(() -> {
                    put(v, d, at);
                    return null;
                }));
            }
            for (Future<?> part : parts) {
                part.get();
            }
        } catch (ExecutionException e) {
            throw new IOException(e.getCause().toString(), e.getCause());
        } catch (InterruptedException e) {
            throw new IOException(e);
        } finally {
            pool.shutdownNow();
        }
        return v;
    }

    private void put(Volume v, Dataset d, long[] at) throws IOException {
        long[] min = new long[at.length];
        for (int i = 0; i < at.length; i++) {
            min[i] = at[i] * d.block[i];
        }
        Block b = block(d, at);
        int[] size = b.size();
        byte[] data = b.data();
        if (data == null) { // a 404: what the reader fills in
            v.missing.incrementAndGet();
            size = d.block;
            byte[] one = missing(d);
            data = new byte[Math.toIntExact(items(size) * one.length)];
            for (int i = 0; i < data.length; i++) {
                data[i] = one[i % one.length];
            }
        }
        v.put(data, size, min);
    }

    static long items(int[] size) {
        long n = 1;
        for (int s : size) {
            n *= s;
        }
        return n;
    }

    static long[] longs(JsonElement e) {
        JsonArray a = e.getAsJsonArray();
        long[] out = new long[a.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = a.get(i).getAsLong();
        }
        return out;
    }

    static double[] doubles(JsonElement e) {
        JsonArray a = e.getAsJsonArray();
        double[] out = new double[a.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = a.get(i).getAsDouble();
        }
        return out;
    }

    static int[] ints(long[] from) {
        int[] out = new int[from.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = Math.toIntExact(from[i]);
        }
        return out;
    }

    /** What n5-universe does with a URL without a scheme: keys decide, in this order. */
    static String detect(Http http, String root) throws IOException {
        String[] keys = {"zarr.json", ".zarray", ".zgroup", ".zattrs", "attributes.json"};
        String[] formats = {"zarr3", "zarr2", "zarr2", "zarr2", "n5"};
        for (int i = 0; i < keys.length; i++) {
            if (http.exists(Http.compose(root, keys[i]))) {
                return formats[i];
            }
        }
        return null;
    }

    static Reader of(String format, Http http, String root) {
        switch (format) {
            case "n5": return new N5(http, root);
            case "zarr2": return new Zarr2(http, root);
            case "zarr3": return new Zarr3(http, root);
            default: throw new IllegalArgumentException(format);
        }
    }
}
