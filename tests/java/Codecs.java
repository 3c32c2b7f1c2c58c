import com.github.luben.zstd.ZstdInputStream;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;
import java.util.zip.InflaterInputStream;
import net.jpountz.lz4.LZ4BlockInputStream;
import org.apache.commons.compress.compressors.gzip.GzipCompressorInputStream;
import org.blosc.JBlosc;

/** Decompression with the libraries that the readers call. */
final class Codecs {
    private Codecs() {}

    /** Exactly `size` bytes out of `data`; more or fewer is an error here. */
    static byte[] decode(String type, boolean zlib, byte[] data, int from, int size)
            throws IOException {
        ByteArrayInputStream in = new ByteArrayInputStream(data, from, data.length - from);
        switch (type) {
            case "raw":
                return exactly(in, size, type);
            case "gzip":
                return exactly(zlib ? new InflaterInputStream(in)
                    : new GzipCompressorInputStream(in, true), size, type);
            case "zlib":
                return exactly(new InflaterInputStream(in), size, type);
            case "lz4":
                return exactly(new LZ4BlockInputStream(in), size, type);
            case "zstd":
                return exactly(new ZstdInputStream(in), size, type);
            case "blosc":
                return blosc(data, from, size);
            default:
                throw new IOException("compression " + type + " has no Java reader");
        }
    }

    private static byte[] exactly(InputStream in, int size, String type) throws IOException {
        byte[] out = in.readNBytes(size);
        if (out.length != size) {
            throw new IOException(type + ": " + out.length + " of " + size + " bytes");
        }
        if (in.read() >= 0) {
            throw new IOException(type + ": more than " + size + " bytes");
        }
        return out;
    }

    private static byte[] blosc(byte[] data, int from, int size) throws IOException {
        int length = data.length - from;
        ByteBuffer in = ByteBuffer.allocateDirect(Math.max(length, 16));
        in.put(data, from, length).rewind();
        // Sizes come from blosc's own header.
        long full = Integer.toUnsignedLong(Integer.reverseBytes(in.getInt(4)));
        long packed = Integer.toUnsignedLong(Integer.reverseBytes(in.getInt(12)));
        if (full != size || packed != length) {
            throw new IOException("blosc: header says " + full + " from " + packed + ", it is "
                + size + " from " + length);
        }
        ByteBuffer out = ByteBuffer.allocateDirect(Math.max(size, 1));
        int got = JBlosc.decompressCtx(in, out, size, 1);
        if (got != size) {
            throw new IOException("blosc: " + got + " of " + size + " bytes");
        }
        byte[] bytes = new byte[size];
        out.rewind();
        out.get(bytes);
        return bytes;
    }

    /** Without the four bytes of checksum at the end, which must be right. */
    static byte[] crc32c(byte[] data) throws IOException {
        int n = data.length - 4;
        CRC32C crc = new CRC32C();
        crc.update(data, 0, n);
        int said = Integer.reverseBytes(ByteBuffer.wrap(data).getInt(n));
        if ((int) crc.getValue() != said) {
            throw new IOException("crc32c is wrong");
        }
        return java.util.Arrays.copyOf(data, n);
    }
}
