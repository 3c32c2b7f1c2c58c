import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Element;
import org.w3c.dom.Node;

/** BigDataViewer: a SpimData document and, beside it, an N5 container of setups and timepoints. */
final class Bdv {
    static final class Setup {
        int id;
        String name;
        long[] size;
        double[] voxel;
        String unit;
        double[][] factors; // per level, x first
        String type;
    }

    final List<Setup> setups = new ArrayList<>();
    final List<Integer> timepoints = new ArrayList<>();
    /** "t,s" to 12 numbers, row by row. */
    final Map<String, double[]> registrations = new HashMap<>();
    final N5 n5;

    Bdv(Http http, String url) throws Exception {
        URI at = URI.create(url);
        Element root;
        try (InputStream in = at.toURL().openStream()) {
            root = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(in)
                .getDocumentElement();
        }
        if (!root.getTagName().equals("SpimData") || !root.getAttribute("version").equals("0.2")) {
            throw new IOException("not SpimData 0.2: " + root.getTagName());
        }
        Element base = child(root, "BasePath");
        URI folder = at.resolve(".");
        if (base != null && base.getAttribute("type").equals("relative")) {
            folder = folder.resolve(base.getTextContent().trim() + "/").normalize();
        }
        Element sequence = child(root, "SequenceDescription");
        Element loader = child(sequence, "ImageLoader");
        if (!loader.getAttribute("format").equals("bdv.n5")) {
            throw new IOException("format " + loader.getAttribute("format"));
        }
        Element where = child(loader, "n5");
        String text = where.getTextContent().trim();
        URI container = where.getAttribute("type").equals("absolute") ? URI.create(text)
            : folder.resolve(text);
        for (Element e : children(child(sequence, "ViewSetups"), "ViewSetup")) {
            setups.add(setup(e));
        }
        timepoints(child(sequence, "Timepoints"));
        for (Element e : children(child(root, "ViewRegistrations"), "ViewRegistration")) {
            double[] all = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
            for (Element t : children(e, "ViewTransform")) {
                if (!t.getAttribute("type").equals("affine")) {
                    throw new IOException("transform " + t.getAttribute("type"));
                }
                all = times(all, numbers(child(t, "affine").getTextContent()));
            }
            registrations.put(e.getAttribute("timepoint") + "," + e.getAttribute("setup"), all);
        }
        n5 = new N5(http, container.toString());
        open(http);
    }

    /** The documents that the image loader asks for before the first block. */
    private void open(Http http) throws IOException {
        String cache = n5.url("attributes_cache.json");
        if (http.exists(cache)) {
            new com.google.gson.Gson().fromJson(new String(http.read(cache)), JsonObject.class);
            throw new IOException("attributes_cache.json: not expected yet");
        }
        n5.open();
        for (Setup s : setups) {
            JsonObject a = n5.attributes("setup" + s.id);
            JsonArray levels = a.getAsJsonArray("downsamplingFactors");
            s.factors = new double[levels.size()][];
            for (int i = 0; i < s.factors.length; i++) {
                s.factors[i] = Reader.doubles(levels.get(i));
                if (s.factors[i].length != 3) {
                    throw new IOException("downsamplingFactors " + levels);
                }
            }
            s.type = a.get("dataType").getAsString();
        }
    }

    Reader.Dataset dataset(int timepoint, Setup s, int level) throws IOException {
        Reader.Dataset d = n5.dataset("setup" + s.id + "/timepoint" + timepoint + "/s" + level);
        if (d.dims.length != 3 || !d.type.equals(s.type)) {
            throw new IOException(d.path + ": " + d.dims.length + "-D " + d.type + ", setup has "
                + s.type);
        }
        return d;
    }

    /** Where the voxel (x, y, z) of a level lies: affine after the level's own transform. */
    double[] world(int timepoint, Setup s, int level, double... voxel) {
        double[] a = registrations.get(timepoint + "," + s.id);
        double[] f = s.factors[level];
        double[] out = new double[3];
        for (int i = 0; i < 3; i++) {
            out[i] = a[4 * i + 3];
            for (int j = 0; j < 3; j++) {
                out[i] += a[4 * i + j] * (f[j] * voxel[j] + 0.5 * (f[j] - 1));
            }
        }
        return out;
    }

    private static double[] times(double[] a, double[] b) {
        double[] c = new double[12];
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 4; j++) {
                c[4 * i + j] = j == 3 ? a[4 * i + 3] : 0;
                for (int k = 0; k < 3; k++) {
                    c[4 * i + j] += a[4 * i + k] * b[4 * k + j];
                }
            }
        }
        return c;
    }

    private static Setup setup(Element e) {
        Setup s = new Setup();
        s.id = Integer.parseInt(child(e, "id").getTextContent().trim());
        s.name = child(e, "name") == null ? null : child(e, "name").getTextContent();
        s.size = new long[3];
        double[] size = numbers(child(e, "size").getTextContent());
        for (int i = 0; i < 3; i++) {
            s.size[i] = (long) size[i];
        }
        Element voxel = child(e, "voxelSize");
        s.unit = child(voxel, "unit").getTextContent();
        s.voxel = numbers(child(voxel, "size").getTextContent());
        return s;
    }

    private void timepoints(Element e) throws IOException {
        switch (e.getAttribute("type")) {
            case "range":
                int last = Integer.parseInt(child(e, "last").getTextContent().trim());
                int i = Integer.parseInt(child(e, "first").getTextContent().trim());
                for (; i <= last; i++) {
                    timepoints.add(i);
                }
                break;
            case "pattern":
                for (String one : child(e, "integerpattern").getTextContent().split(",")) {
                    timepoints.add(Integer.valueOf(one.trim()));
                }
                break;
            default:
                throw new IOException("timepoints " + e.getAttribute("type"));
        }
    }

    private static double[] numbers(String text) {
        String[] parts = text.trim().split("\\s+");
        double[] out = new double[parts.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = Double.parseDouble(parts[i]);
        }
        return out;
    }

    private static Element child(Element parent, String name) {
        List<Element> all = children(parent, name);
        return all.isEmpty() ? null : all.get(0);
    }

    private static List<Element> children(Element parent, String name) {
        List<Element> out = new ArrayList<>();
        for (Node n = parent.getFirstChild(); n != null; n = n.getNextSibling()) {
            if (n instanceof Element e && e.getTagName().equals(name)) {
                out.add(e);
            }
        }
        return out;
    }

    Map<String, Object> description() {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("timepoints", timepoints);
        out.put("setups", setups);
        out.put("registrations", registrations);
        return out;
    }
}
