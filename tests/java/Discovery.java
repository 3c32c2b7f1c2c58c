import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.TreeMap;

/** The multiscale images that n5-universe finds: OME-NGFF, then COSEM's, then N5Viewer's. */
final class Discovery {
    /** Voxel x of the level lies at scale * x + translation; all x first. */
    static final class Level {
        String path;
        double[] scale;
        double[] translation;
        Reader.Dataset dataset;
    }

    static final class Image {
        String kind;
        String path;
        String[] axes;
        String[] units;
        List<Level> levels = new ArrayList<>();
    }

    private final Reader reader;

    Discovery(Reader reader) {
        this.reader = reader;
    }

    /** At the start node without any listing; only if that is no NGFF image, below it. */
    List<Image> find(String path) throws IOException {
        List<Image> out = new ArrayList<>();
        Image first = ngff(path);
        if (first != null) {
            out.add(first);
            return out;
        }
        TreeMap<String, List<String>> groups = new TreeMap<>();
        groups.put(path, new ArrayList<>());
        for (String node : reader.deepList(path)) {
            String name = node.replace("*", "");
            int slash = name.lastIndexOf('/');
            String parent = slash < 0 ? "" : name.substring(0, slash);
            groups.computeIfAbsent(parent, p -> new ArrayList<>())
                .add(node.substring(slash + 1));
            if (!node.endsWith("*")) {
                groups.computeIfAbsent(name, p -> new ArrayList<>());
            }
        }
        for (String group : groups.keySet()) {
            Image image = ngff(group);
            if (image == null) {
                image = levels(group, groups.get(group));
            }
            if (image != null) {
                out.add(image);
            }
        }
        return out;
    }

    private static String joined(String group, String child) {
        return group.isEmpty() ? child : group + "/" + child;
    }

    /** 0.4 in the group's attributes, 0.5 under "ome"; one that doesn't open refuses all. */
    Image ngff(String path) throws IOException {
        JsonObject a = reader.attributes(path);
        if (a != null && a.has("ome") && a.get("ome").isJsonObject()) {
            a = a.getAsJsonObject("ome");
        }
        if (a == null || !a.has("multiscales")) {
            return null;
        }
        JsonObject m = a.getAsJsonArray("multiscales").get(0).getAsJsonObject();
        if (!m.has("axes")) {
            return null;
        }
        Image image = new Image();
        image.kind = "ngff";
        image.path = path;
        int n = m.getAsJsonArray("axes").size();
        image.axes = new String[n];
        image.units = new String[n];
        for (int i = 0; i < n; i++) {
            JsonObject axis = m.getAsJsonArray("axes").get(i).getAsJsonObject();
            if (!axis.has("type") || axis.get("type").isJsonNull()) {
                throw new IOException("an axis without a type: " + axis);
            }
            int to = reader.reversed() ? n - 1 - i : i;
            image.axes[to] = axis.get("name").getAsString();
            image.units[to] = axis.has("unit") ? axis.get("unit").getAsString() : null;
        }
        for (JsonElement e : m.getAsJsonArray("datasets")) {
            JsonObject dataset = e.getAsJsonObject();
            Level level = new Level();
            level.path = joined(path, dataset.get("path").getAsString());
            level.dataset = reader.dataset(level.path);
            level.scale = new double[n];
            level.translation = new double[n];
            Arrays.fill(level.scale, 1);
            for (JsonElement t : dataset.getAsJsonArray("coordinateTransformations")) {
                apply(t.getAsJsonObject(), level, n);
            }
            image.levels.add(level);
        }
        if (m.has("coordinateTransformations")) {
            for (Level level : image.levels) {
                for (JsonElement t : m.getAsJsonArray("coordinateTransformations")) {
                    apply(t.getAsJsonObject(), level, n);
                }
            }
        }
        return image;
    }

    /** Only scale and translation, a number an axis: all else ends the reader. */
    private void apply(JsonObject t, Level level, int n) throws IOException {
        String type = t.get("type").getAsString();
        if (!type.equals("scale") && !type.equals("translation") || !t.has(type)) {
            throw new IOException("transformation " + t);
        }
        double[] v = Reader.doubles(t.get(type));
        if (v.length != n) {
            throw new IOException("not a number an axis: " + t);
        }
        for (int i = 0; i < n; i++) {
            int to = reader.reversed() ? n - 1 - i : i;
            if (type.equals("scale")) {
                level.scale[to] *= v[i];
                level.translation[to] *= v[i];
            } else {
                level.translation[to] += v[i];
            }
        }
    }

    /** A group with datasets s0, s1, ...: what they mean stands at each of them. */
    Image levels(String path, List<String> children) throws IOException {
        List<String> names = new ArrayList<>();
        for (String child : children) {
            if (child.matches("s\\d+\\*")) {
                names.add(child.substring(0, child.length() - 1));
            }
        }
        if (names.isEmpty()) {
            return null;
        }
        names.sort(Comparator.comparing(name -> Integer.valueOf(name.substring(1))));
        Image image = new Image();
        image.path = path;
        for (String name : names) {
            Level level = new Level();
            level.path = joined(path, name);
            level.dataset = reader.dataset(level.path);
            JsonObject a = reader.attributes(level.path);
            String kind = a.has("transform") ? "cosem" : "n5viewer";
            if (image.kind != null && !image.kind.equals(kind)) {
                throw new IOException(path + ": levels of two kinds");
            }
            image.kind = kind;
            if (a.has("transform")) {
                cosem(image, level, a.getAsJsonObject("transform"));
            } else if (!n5viewer(image, level, a)) {
                return null;
            }
            image.levels.add(level);
        }
        return image;
    }

    /** A number for each axis, slowest first, as n5-universe 3.0 takes them of two to five axes; where
     *  voxel 0 lies is in them. */
    private static void cosem(Image image, Level level, JsonObject t) throws IOException {
        double[] scale = Reader.doubles(t.get("scale"));
        double[] translate = Reader.doubles(t.get("translate"));
        int n = level.dataset.dims.length;
        if (scale.length != n || translate.length != n || t.getAsJsonArray("axes").size() != n
                || t.getAsJsonArray("units").size() != n) {
            throw new IOException(level.path + " has " + n + " axes, its transform others: " + t);
        }
        image.axes = new String[n];
        image.units = new String[n];
        level.scale = new double[n];
        level.translation = new double[n];
        for (int i = 0; i < n; i++) {
            level.scale[i] = scale[n - 1 - i];
            level.translation[i] = translate[n - 1 - i];
            image.axes[i] = t.getAsJsonArray("axes").get(n - 1 - i).getAsString();
            image.units[i] = t.getAsJsonArray("units").get(n - 1 - i).getAsString();
        }
    }

    /** The base level's voxel size and this one's factors; beyond three axes it takes neither. */
    private static boolean n5viewer(Image image, Level level, JsonObject a) throws IOException {
        JsonElement resolution = a.get("pixelResolution");
        if (resolution == null) {
            return false;
        }
        double[] base;
        String unit = "pixel";
        if (resolution.isJsonArray()) {
            base = Reader.doubles(resolution);
        } else {
            base = Reader.doubles(resolution.getAsJsonObject().get("dimensions"));
            unit = resolution.getAsJsonObject().get("unit").getAsString();
        }
        int n = level.dataset.dims.length;
        double[] factors = new double[n];
        String name = level.path.substring(level.path.lastIndexOf('/') + 2);
        Arrays.fill(factors, 1 << Integer.parseInt(name));
        if (a.has("downsamplingFactors")) {
            factors = Reader.doubles(a.get("downsamplingFactors"));
        }
        if (base.length != n || factors.length != n) {
            throw new IOException(level.path + " has " + n + " dimensions, not as many of "
                + "pixelResolution or downsamplingFactors");
        }
        image.units = new String[] {unit};
        level.scale = new double[n];
        level.translation = new double[n];
        for (int i = 0; i < n; i++) {
            level.scale[i] = n > 3 ? 1 : base[i] * factors[i];
            level.translation[i] = n > 3 ? 0 : base[i] * 0.5 * (factors[i] - 1);
        }
        return true;
    }
}
