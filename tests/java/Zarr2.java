import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.util.Map;

/** n5-zarr's reader of version 2: each document is a HEAD and a GET. */
final class Zarr2 extends Reader {
    private static final Map<String, String> TYPES = Map.of("u1", "uint8", "u2", "uint16", "u4",
        "uint32", "u8", "uint64", "i1", "int8", "i2", "int16", "i4", "int32", "i8", "int64", "f4",
        "float32", "f8", "float64");

    Zarr2(Http http, String root) {
        super(http, root);
    }

    @Override
    void open() throws IOException {
        JsonObject group = document(url(".zgroup"), true);
        JsonObject array = document(url(".zarray"), true);
        if (group == null && array == null) {
            throw new IOException("no container at " + root);
        }
        JsonElement format = (group == null ? array : group).get("zarr_format");
        if (format == null || format.getAsInt() != 2) {
            throw new IOException("zarr_format " + format);
        }
    }

    @Override
    JsonObject attributes(String path) throws IOException {
        JsonObject all = new JsonObject();
        boolean any = false;
        for (String name : new String[] {".zgroup", ".zarray", ".zattrs"}) {
            JsonObject one = document(url(path, name), true);
            if (one != null) {
                any = true;
                one.entrySet().forEach(e -> all.add(e.getKey(), e.getValue()));
            }
        }
        return any ? all : null;
    }

    @Override
    boolean exists(String path) throws IOException {
        return document(url(path, ".zgroup"), true) != null
            || document(url(path, ".zarray"), true) != null;
    }

    @Override
    boolean reversed() {
        return true;
    }

    @Override
    Dataset dataset(String path) throws IOException {
        JsonObject a = document(url(path, ".zarray"), true);
        if (a == null) {
            throw new NotADataset(path);
        }
        for (String key : new String[] {"zarr_format", "shape", "chunks", "dtype", "compressor",
            "fill_value", "order", "filters"}) {
            if (!a.has(key)) {
                throw new NotADataset(path + ": no " + key);
            }
        }
        String dtype = a.get("dtype").getAsString();
        String order = a.get("order").getAsString();
        if (!a.get("filters").isJsonNull() || !order.equals("C")) {
            throw new IOException(path + ": filters " + a.get("filters") + ", order " + order);
        }
        if (!TYPES.containsKey(dtype.substring(1))) {
            throw new IOException("n5-zarr takes dtype " + dtype + " for another");
        }
        Dataset d = new Dataset();
        d.path = path;
        d.document = a;
        d.dims = Volume.reversed(longs(a.get("shape")));
        d.block = ints(Volume.reversed(longs(a.get("chunks"))));
        d.type = TYPES.get(dtype.substring(1));
        if (d.dims.length == 0) {
            throw new IOException("n5 has no arrays of rank 0");
        }
        return d;
    }

    @Override
    Block block(Dataset d, long[] at) throws IOException {
        String sep = d.document.has("dimension_separator")
            ? d.document.get("dimension_separator").getAsString() : ".";
        StringBuilder key = new StringBuilder();
        for (int i = at.length - 1; i >= 0; i--) {
            key.append(at[i]).append(i > 0 ? sep : "");
        }
        String url = url(d.path, key.toString());
        int item = Volume.itemSize(d.type);
        int size = Math.toIntExact(items(d.block) * item);
        JsonElement c = d.document.get("compressor");
        byte[] data;
        try {
            if (c.isJsonNull()) { // uncompressed: asked for by its range
                data = http.read(url, 0, size);
                if (data.length != size) {
                    throw new IOException(data.length + " of " + size + " bytes: " + url);
                }
            } else {
                data = http.read(url);
                String id = c.getAsJsonObject().get("id").getAsString();
                data = Codecs.decode(id, false, data, 0, size);
            }
        } catch (Http.NoSuchKey e) {
            return new Block(null, null);
        }
        boolean big = d.document.get("dtype").getAsString().startsWith(">");
        return new Block(d.block, big ? Volume.swap(data, item) : data);
    }
}
