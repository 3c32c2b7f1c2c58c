import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** n5-zarr's reader of version 3. */
final class Zarr3 extends Reader {
    private static final Set<String> TYPES = Set.of("uint8", "uint16", "uint32", "uint64", "int8",
        "int16", "int32", "int64", "float32", "float64");

    Zarr3(Http http, String root) {
        super(http, root);
    }

    JsonObject node(String path) throws IOException {
        return document(url(path, "zarr.json"), false);
    }

    @Override
    void open() throws IOException {
        JsonObject a = node("");
        if (a == null) {
            http.isDirectory(url());
            throw new IOException("no container at " + root);
        }
        if (a.get("zarr_format").getAsInt() != 3) {
            throw new IOException("zarr_format " + a.get("zarr_format"));
        }
    }

    @Override
    JsonObject attributes(String path) throws IOException {
        JsonObject a = node(path);
        return a == null ? null : a.has("attributes") ? a.getAsJsonObject("attributes")
            : new JsonObject();
    }

    @Override
    boolean exists(String path) throws IOException {
        return node(path) != null || http.isDirectory(url(path));
    }

    @Override
    boolean reversed() {
        return true;
    }

    @Override
    Dataset dataset(String path) throws IOException {
        JsonObject a = node(path);
        if (a == null || !a.get("node_type").getAsString().equals("array")) {
            throw new NotADataset(path);
        }
        String type = a.get("data_type").isJsonPrimitive() ? a.get("data_type").getAsString() : "?";
        if (!TYPES.contains(type)) {
            throw new NotADataset(path + ": data_type " + a.get("data_type"));
        }
        if (!a.has("fill_value") || !a.get("fill_value").isJsonPrimitive()) {
            throw new NotADataset(path + ": fill_value " + a.get("fill_value"));
        }
        Dataset d = new Dataset();
        d.path = path;
        d.document = a;
        d.type = type;
        d.dims = Volume.reversed(longs(a.get("shape")));
        if (d.dims.length == 0) {
            throw new NotADataset(path + ": rank 0");
        }
        JsonObject grid = a.getAsJsonObject("chunk_grid").getAsJsonObject("configuration");
        d.block = ints(Volume.reversed(longs(grid.get("chunk_shape"))));
        String encoding = a.getAsJsonObject("chunk_key_encoding").get("name").getAsString();
        if (!encoding.equals("default")) {
            throw new IOException("n5-zarr asks for wrong keys under encoding " + encoding);
        }
        codecs(d); // refuses what the reader doesn't know
        return d;
    }

    /** Compressors behind "bytes" in the order of encoding; all members must be there. */
    private List<String> codecs(Dataset d) throws IOException {
        List<String> out = new ArrayList<>();
        for (JsonElement e : d.document.getAsJsonArray("codecs")) {
            if (!e.isJsonObject()) {
                throw new NotADataset("a codec by its name only: " + e);
            }
            String name = e.getAsJsonObject().get("name").getAsString();
            JsonObject c = e.getAsJsonObject().getAsJsonObject("configuration");
            switch (name) {
                case "bytes": break;
                case "gzip": needs(name, c, "level"); break;
                case "zstd": needs(name, c, "level", "checksum"); break;
                case "blosc":
                    needs(name, c, "cname", "clevel", "shuffle", "blocksize", "typesize");
                    break;
                case "crc32c": break;
                default: throw new NotADataset("codec " + name);
            }
            out.add(name);
        }
        return out;
    }

    private static void needs(String name, JsonObject c, String... keys) throws IOException {
        for (String key : keys) {
            if (c == null || !c.has(key)) {
                throw new IOException("n5-zarr drops codec " + name + " without " + key);
            }
        }
    }

    private static boolean bigEndian(Dataset d) {
        JsonObject bytes = d.document.getAsJsonArray("codecs").get(0).getAsJsonObject();
        JsonObject c = bytes.getAsJsonObject("configuration");
        return c != null && c.has("endian") && c.get("endian").getAsString().equals("big");
    }

    @Override
    Block block(Dataset d, long[] at) throws IOException {
        JsonObject how = d.document.getAsJsonObject("chunk_key_encoding");
        JsonObject more = how.getAsJsonObject("configuration");
        String sep = more != null && more.has("separator") ? more.get("separator").getAsString()
            : "/";
        StringBuilder key = new StringBuilder("c");
        for (int i = at.length - 1; i >= 0; i--) {
            key.append(sep).append(at[i]);
        }
        String url = url(d.path, key.toString());
        int item = Volume.itemSize(d.type);
        int size = Math.toIntExact(items(d.block) * item);
        List<String> codecs = codecs(d);
        byte[] data;
        try {
            data = codecs.size() == 1 ? http.read(url, 0, size) : http.read(url);
        } catch (Http.NoSuchKey e) {
            return new Block(null, null);
        }
        for (int i = codecs.size() - 1; i > 0; i--) {
            data = codecs.get(i).equals("crc32c") ? Codecs.crc32c(data)
                : Codecs.decode(codecs.get(i), false, data, 0, size);
        }
        if (data.length != size) {
            throw new IOException(data.length + " of " + size + " bytes: " + url);
        }
        return new Block(d.block, bigEndian(d) ? Volume.swap(data, item) : data);
    }

    @Override
    byte[] missing(Dataset d) {
        String fill = d.document.get("fill_value").getAsString();
        double v = fill.equals("NaN") || fill.endsWith("Infinity") ? Double.parseDouble(fill)
            : JsonParser.parseString(fill).getAsDouble();
        ByteBuffer b = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
        if (d.type.equals("float32")) {
            b.putFloat((float) v);
        } else if (d.type.equals("float64")) {
            b.putDouble(v);
        } else {
            b.putLong(new java.math.BigDecimal(fill).longValue());
        }
        return java.util.Arrays.copyOf(b.array(), Volume.itemSize(d.type));
    }
}
