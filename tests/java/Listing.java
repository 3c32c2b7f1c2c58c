import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How n5 reads a folder's HTML page: as three servers write it, in this order; the first with more
 * than one hit is kept for good, else the last one's result is taken.
 */
final class Listing {
    private static final Pattern[] DIRECTORIES = {
        Pattern.compile("&lt;dir&gt;[^H]+HREF=[^>]+>(?!\\[To Parent Directory])(?<entry>[^<]+)"),
        Pattern.compile("alt=\"\\[DIR\\]\".*href=[^>]+>(?<entry>[^<]+)"),
        Pattern.compile("href=\"[^\"]+\">(?<entry>[^<]+)/"),
    };
    private static final Pattern[] ALL = {
        Pattern.compile("HREF=[^>]+>(?!\\[To Parent Directory])(?<entry>[^<]+)"),
        Pattern.compile("alt=\"\\[(\\s*|DIR)\\]\".*href=[^>]+>(?<entry>[^<]+)"),
        Pattern.compile("href=\"[^\"]+\">(?<entry>[^<]+)"),
    };
    private int kept = -1;

    synchronized List<String> entries(String page, boolean onlyDirectories) {
        Pattern[] kinds = onlyDirectories ? DIRECTORIES : ALL;
        if (kept >= 0) {
            return hits(kinds[kept], page);
        }
        List<String> found = List.of();
        for (int i = 0; i < kinds.length; i++) {
            found = hits(kinds[i], page);
            if (found.size() > 1) {
                kept = i;
                break;
            }
        }
        return found;
    }

    private static List<String> hits(Pattern kind, String page) {
        List<String> out = new ArrayList<>();
        Matcher m = kind.matcher(page);
        while (m.find()) {
            out.add(m.group("entry").replaceAll("/+$", ""));
        }
        return out;
    }
}
