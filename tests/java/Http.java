import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What n5 asks over HTTP and how it takes the answers: its key-value access, by its requests. */
final class Http {
    static final int TIMEOUT = 5000; // of HEAD and listings; data and metadata have none

    /** No such key: 404 or 410. */
    static final class NoSuchKey extends IOException {
        private static final long serialVersionUID = 1L;

        NoSuchKey(String url) {
            super("no such key: " + url);
        }
    }

    /** Any other answer that is not the data. */
    static final class Refused extends IOException {
        private static final long serialVersionUID = 1L;
        final int status;

        Refused(int status, String url) {
            super(status + " for " + url);
            this.status = status;
        }
    }

    /** n5 up to 3.5.1: a HEAD before every GET, whose time-out means "not there". */
    final boolean old;
    private final Listing listing = new Listing();
    private final List<Map<String, Object>> log = Collections.synchronizedList(new ArrayList<>());

    Http(boolean old) {
        this.old = old;
    }

    /** The requests since the last call, in the order in which they were answered. */
    List<Map<String, Object>> takeLog() {
        synchronized (log) {
            List<Map<String, Object>> taken = new ArrayList<>(log);
            log.clear();
            return taken;
        }
    }

    /** The path's parts behind the root's: what stands behind '?' is lost, slashes don't matter. */
    static String compose(String root, String... parts) {
        URI uri = URI.create(root);
        StringBuilder path = new StringBuilder(uri.getRawPath().replaceAll("/+$", ""));
        for (String part : parts) {
            for (String segment : part.split("/")) {
                if (!segment.isEmpty()) {
                    path.append('/').append(segment.replace(" ", "%20"));
                }
            }
        }
        return uri.getScheme() + "://" + uri.getRawAuthority() + path;
    }

    private HttpURLConnection open(String method, String url, boolean follow, boolean limited)
            throws IOException {
        HttpURLConnection c = (HttpURLConnection) URI.create(url).toURL().openConnection();
        c.setRequestMethod(method);
        c.setInstanceFollowRedirects(follow);
        if (limited) {
            c.setConnectTimeout(TIMEOUT);
            c.setReadTimeout(TIMEOUT);
        }
        return c;
    }

    private int answered(HttpURLConnection c, String method, String url, String range)
            throws IOException {
        long start = System.nanoTime();
        int status = -1;
        try {
            status = c.getResponseCode();
            return status;
        } finally {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("method", method);
            line.put("url", url);
            if (range != null) {
                line.put("range", range);
            }
            line.put("status", status);
            line.put("ms", (System.nanoTime() - start) / 1000000);
            line.put("end", c.getURL().toString()); // after redirects
            log.add(line);
        }
    }

    private HttpURLConnection head(String url, boolean follow) throws IOException {
        HttpURLConnection c = open("HEAD", url, follow, true);
        answered(c, "HEAD", url, null);
        return c;
    }

    boolean exists(String url) throws IOException {
        int status = head(url, true).getResponseCode();
        if (status == 404 || status == 410) {
            return false;
        }
        if (status < 200 || status >= 400) {
            throw new Refused(status, url);
        }
        return true;
    }

    /** As the old n5 asked before a GET: too late is no as well. */
    private boolean isThere(String url) throws IOException {
        try {
            return exists(url);
        } catch (SocketTimeoutException e) {
            return false;
        }
    }

    long size(String url) throws IOException {
        HttpURLConnection c = head(url, true);
        if (c.getResponseCode() >= 400) {
            throw c.getResponseCode() == 404 ? new NoSuchKey(url)
                : new Refused(c.getResponseCode(), url);
        }
        return c.getContentLengthLong();
    }

    boolean isDirectory(String url) {
        return is(url.replaceAll("/+$", "") + "/", true);
    }

    boolean isFile(String url) {
        return is(url.replaceAll("/+$", ""), false);
    }

    /** Any error, and a time-out, is a no. */
    private boolean is(String url, boolean directory) {
        HttpURLConnection c;
        int status;
        try {
            c = head(url, false);
            status = c.getResponseCode();
        } catch (IOException e) {
            return false;
        }
        if (status >= 300 && status < 400) {
            String to = c.getHeaderField("Location"); // none: the reader fails here as well
            return (to.endsWith("/") || to.endsWith("index.html")) == directory;
        }
        return status >= 200 && status < 300;
    }

    List<String> list(String url, boolean onlyDirectories) throws IOException {
        HttpURLConnection c = open("GET", url, true, true);
        int status = answered(c, "GET", url, null);
        if (status >= 400) {
            throw status == 404 ? new NoSuchKey(url) : new Refused(status, url);
        }
        try (InputStream in = c.getInputStream()) {
            String page = new String(in.readAllBytes(), StandardCharsets.UTF_8);
            return listing.entries(page, onlyDirectories);
        }
    }

    byte[] read(String url) throws IOException {
        return read(url, 0, Long.MAX_VALUE);
    }

    /**
     * From an offset on, so many bytes. Partly: the range is believed only where the answer has the
     * header "Accept-Range"; else the whole is asked for on a new connection and cut here.
     */
    byte[] read(String url, long offset, long length) throws IOException {
        if (old && !isThere(url)) {
            throw new NoSuchKey(url);
        }
        boolean partly = offset > 0 || length >= 0 && length < Long.MAX_VALUE;
        String range = null;
        HttpURLConnection c = open("GET", url, true, false);
        if (partly) {
            range = "bytes=" + offset + "-" + (length > 0 ? offset + length - 1 : "");
            c.setRequestProperty("Range", range);
        }
        int status = answered(c, "GET", url, range);
        boolean cut = partly && !"bytes".equals(c.getHeaderField("Accept-Range"));
        if (cut) {
            c.disconnect();
            c = open("GET", url, true, false);
            status = answered(c, "GET", url, null);
        }
        try (InputStream in = c.getInputStream()) {
            byte[] all = in.readAllBytes();
            long promised = c.getContentLengthLong();
            if (promised >= 0 && promised != all.length) {
                throw new IOException(all.length + " of " + promised + " bytes of " + url);
            }
            if (!cut) {
                return all;
            }
            ByteArrayInputStream whole = new ByteArrayInputStream(all);
            whole.skip(offset);
            return length < Integer.MAX_VALUE ? whole.readNBytes((int) length)
                : whole.readAllBytes();
        } catch (FileNotFoundException e) { // what the JDK makes of 404 and 410
            if (old && status == 404) {
                throw new IOException("gone after its HEAD was there: " + url, e);
            }
            throw new NoSuchKey(url);
        } catch (IOException e) {
            if (status >= 400) {
                throw new Refused(status, url);
            }
            throw e;
        }
    }

    /** One request with nothing of n5 in it: status, headers and body as the JDK gives them. */
    Map<String, Object> plain(String method, String url, Map<String, String> headers,
            boolean follow) throws IOException {
        HttpURLConnection c = open(method, url, follow, false);
        headers.forEach(c::setRequestProperty);
        int status = answered(c, method, url, headers.get("Range"));
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("status", status);
        Map<String, String> got = new LinkedHashMap<>();
        c.getHeaderFields().forEach((name, values) -> {
            if (name != null) {
                got.put(name.toLowerCase(java.util.Locale.ROOT), String.join(", ", values));
            }
        });
        out.put("headers", got);
        InputStream in = status >= 400 ? c.getErrorStream() : c.getInputStream();
        byte[] body = in == null ? new byte[0] : in.readAllBytes();
        out.put("length", body.length);
        out.put("text", new String(body, 0, Math.min(body.length, 100000),
            StandardCharsets.ISO_8859_1));
        return out;
    }
}
