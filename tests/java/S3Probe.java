import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.StringReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.xml.parsers.DocumentBuilder;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Document;
import org.xml.sax.InputSource;
import org.xml.sax.SAXException;

/** What n5-universe asks of an http URL to find out whether S3 stands behind it. */
final class S3Probe {
    private final Http http;
    private final List<String> external = new ArrayList<>();

    S3Probe(Http http) {
        this.http = http;
    }

    /** Every request with what made the client take the server for S3, if anything. */
    List<Map<String, Object>> run(String root) throws IOException {
        URI uri = URI.create(root);
        String base = uri.getScheme() + "://" + uri.getRawAuthority();
        String bucket = base + "/" + uri.getRawPath().split("/")[1];
        List<Map<String, Object>> out = new ArrayList<>();
        Map<String, Object> acl = ask(bucket + "?acl", true);
        out.add(acl);
        if ((int) acl.get("status") != 404) {
            out.add(ask(bucket + "?list-type=2&max-keys=1", true));
        }
        out.add(ask(root + "?max-keys=1", false));
        out.add(ask(base + "/" + System.nanoTime() + "?acl", true));
        return out;
    }

    private Map<String, Object> ask(String url, boolean sdk) throws IOException {
        Map<String, Object> answer = http.plain("GET", url, Map.of(), true);
        int status = (int) answer.get("status");
        String body = (String) answer.get("text");
        List<String> taken = new ArrayList<>();
        for (Object name : ((Map<?, ?>) answer.get("headers")).keySet()) {
            if (name.toString().startsWith("x-amz-")) {
                taken.add("header " + name);
            }
        }
        String rootTag = null;
        String code = null;
        external.clear();
        try {
            Document document = parser().parse(new ByteArrayInputStream(
                body.getBytes(StandardCharsets.ISO_8859_1)));
            rootTag = document.getDocumentElement().getTagName();
            if (document.getElementsByTagName("Code").getLength() > 0) {
                code = document.getElementsByTagName("Code").item(0).getTextContent();
            }
        } catch (SAXException e) {
            // no XML, as it should be
        } catch (javax.xml.parsers.ParserConfigurationException e) {
            throw new IOException(e);
        }
        if (sdk && status < 400 && (body.isEmpty() || rootTag != null)) {
            taken.add("no error from the SDK");
        }
        if (status == 200 && rootTag != null
                && rootTag.matches("List(AllMyBuckets|Bucket)Result")) {
            taken.add("root " + rootTag);
        }
        if (status >= 400 && "Error".equals(rootTag) && code != null) {
            taken.add("Error/Code " + code);
        }
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("url", url);
        out.put("status", status);
        out.put("taken", taken);
        out.put("external", new ArrayList<>(external));
        return out;
    }

    /** It would fetch DTDs; here it only notes that. */
    private DocumentBuilder parser() throws javax.xml.parsers.ParserConfigurationException {
        DocumentBuilder b = DocumentBuilderFactory.newInstance().newDocumentBuilder();
        b.setErrorHandler(new org.xml.sax.helpers.DefaultHandler());
        b.setEntityResolver((publicId, systemId) -> {
            external.add(systemId);
            return new InputSource(new StringReader(""));
        });
        return b;
    }
}
