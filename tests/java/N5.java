import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** n5's own reader. */
final class N5 extends Reader {
    private static final Set<String> TYPES = Set.of("uint8", "uint16", "uint32", "uint64", "int8",
        "int16", "int32", "int64", "float32", "float64");
    private static final Pattern VERSION = Pattern.compile("(\\d+)(\\.(\\d+))?(\\.(\\d+))?(.*)");
    String version;

    N5(Http http, String root) {
        super(http, root);
    }

    @Override
    JsonObject attributes(String path) throws IOException {
        return document(url(path, "attributes.json"), false);
    }

    @Override
    void open() throws IOException {
        JsonObject a = attributes("");
        if (a == null && !http.isDirectory(url())) {
            throw new IOException("no container at " + root);
        }
        version = a == null || !a.has("n5") ? "0.0.0" : a.get("n5").getAsString();
        Matcher m = VERSION.matcher(version);
        if (!m.matches() || m.group(3) == null || m.group(5) == null) {
            throw new IOException("the version must have three parts: " + version);
        }
        if (Integer.parseInt(m.group(1)) > 4) {
            throw new IOException("too new for n5: " + version);
        }
    }

    @Override
    boolean exists(String path) throws IOException {
        return attributes(path) != null || http.isDirectory(url(path));
    }

    @Override
    boolean reversed() {
        return false;
    }

    @Override
    Dataset dataset(String path) throws IOException {
        JsonObject a = attributes(path);
        if (a == null || !a.has("dimensions") || !a.has("blockSize") || !a.has("dataType")
                || !a.has("codecs") && !a.has("compression") && !a.has("compressionType")) {
            throw new NotADataset(path);
        }
        if (a.has("codecs")) {
            throw new IOException(path + ": codecs would win over compression");
        }
        Dataset d = new Dataset();
        d.path = path;
        d.document = a;
        d.dims = longs(a.get("dimensions"));
        d.block = ints(longs(a.get("blockSize")));
        d.type = a.get("dataType").getAsString();
        if (!TYPES.contains(d.type) || d.dims.length != d.block.length || d.dims.length == 0) {
            throw new IOException(path + ": " + a);
        }
        compression(d);
        return d;
    }

    static String compression(Dataset d) {
        JsonElement c = d.document.get("compression");
        return c.getAsJsonObject().get("type").getAsString();
    }

    @Override
    Block block(Dataset d, long[] at) throws IOException {
        String[] key = new String[at.length + 1];
        key[0] = d.path;
        for (int i = 0; i < at.length; i++) {
            key[i + 1] = Long.toString(at[i]);
        }
        byte[] bytes;
        try {
            bytes = http.read(url(key));
        } catch (Http.NoSuchKey e) {
            return new Block(null, null);
        }
        ByteBuffer in = ByteBuffer.wrap(bytes); // big-endian
        short mode = in.getShort();
        short rank = in.getShort();
        if (mode != 0 || rank != d.dims.length) {
            throw new IOException("mode " + mode + ", " + rank + " dimensions in " + url(key));
        }
        int[] size = new int[rank];
        for (int i = 0; i < rank; i++) {
            size[i] = in.getInt();
            long want = Math.min(d.block[i], d.dims[i] - at[i] * d.block[i]);
            if (size[i] != want) {
                throw new IOException("size " + size[i] + ", not " + want + " in " + url(key));
            }
        }
        JsonObject c = d.document.get("compression").getAsJsonObject();
        int item = Volume.itemSize(d.type);
        boolean zlib = c.has("useZlib") && c.get("useZlib").getAsBoolean();
        byte[] data = Codecs.decode(c.get("type").getAsString(), zlib, bytes, in.position(),
            Math.toIntExact(items(size) * item));
        return new Block(size, Volume.swap(data, item));
    }
}
