"""Files of kinds that one library each knows, made with that library, in an environment that has them:

    kind_files.py FOLDER      a file (or folder) of each kind; prints a line of JSON, what is expected of each

CZI is written by pylibCZIrw, Zeiss's own. For LIF and ND2 there is no public writer: theirs are laid out here byte
by byte, as small as liffile, readlif and nd2 take them.
"""
import json
import struct
import sys
from pathlib import Path

import numpy as np

V = np.arange(2 * 2 * 3 * 20 * 30, dtype="u2").reshape(2, 2, 3, 20, 30)  # t c z y x
EXPECTED = {}
FOLDER = Path()


def say(name, value, axes, scale, units=None, channels=None, translation=None):
    np.save(FOLDER / "want" / f"{name}.npy", value)
    EXPECTED[name] = {"axes": axes, "scale": scale, "units": units, "channels": channels, "translation": translation}


def mrc():
    import mrcfile
    v = V[0, 0].astype("f4")
    for name, how in (("plain.mrc", None), ("packed.mrc.gz", "gzip")):
        with mrcfile.new(FOLDER / name, data=v, compression=how, overwrite=True) as m:
            m.voxel_size = (2.5, 2.5, 4.0)
            m.header.origin.x, m.header.origin.z = 10, -8
            m.set_extended_header(np.frombuffer(b"x" * 96, "S96"))
            m.update_header_stats()
        say(name, v, "zyx", [4, 2.5, 2.5], ["angstrom"] * 3, translation=[-8, 0, 10])
    with mrcfile.new(FOLDER / "stack.mrcs", data=V[0, 0].astype("i2")) as m:
        m.set_image_stack()
        m.voxel_size = 1.5
    say("stack.mrcs", V[0, 0].astype("i2"), "zyx", [1, 1.5, 1.5], [None, "angstrom", "angstrom"])


def nrrd():
    import nrrd as library
    v = V[0, 0]
    header = {"space": "left-posterior-superior", "space directions": np.diag([0.5, 0.5, 2.0]), "kinds": ["domain"] * 3,
              "space origin": np.array([1.0, 2.0, 3.0]), "space units": ["mm", "mm", "mm"], "labels": ["x", "y", "z"]}
    for name, encoding in (("plain.nrrd", "raw"), ("packed.nrrd", "gzip"), ("text.nrrd", "ascii"), ("apart.nhdr", "bzip2")):
        library.write(str(FOLDER / name), v, dict(header, encoding=encoding), index_order="C")
        say(name, v, "zyx", [2, .5, .5], ["millimeter"] * 3, translation=[3, 2, 1])
    rgb = V[0, 0, :, :, :].astype("u1")
    library.write(str(FOLDER / "colour.nrrd"), rgb, {"encoding": "raw", "kinds": ["RGB-color", "domain", "domain"],
                                                     "spacings": [np.nan, .25, .5]}, index_order="F")
    say("colour.nrrd", rgb.transpose(0, 2, 1), "cyx", [1, .5, .25], channels=["red", "green", "blue"])


def mgh():
    import nibabel
    v = V[0, 0].transpose(2, 1, 0).astype("i2")
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = [-5, -6, -7]
    for name in ("plain.mgh", "packed.mgz"):
        nibabel.save(nibabel.MGHImage(v, affine), FOLDER / name)
        say(name, v.transpose(2, 1, 0).astype(">i2"), "zyx", [4, 3, 2], ["millimeter"] * 3, translation=[-7, -6, -5])
    movie = V[:, 0].transpose(3, 2, 1, 0).astype("i2")
    image = nibabel.MGHImage(movie, np.diag([2.0, 2, 2, 1]))
    image.header.set_zooms((2, 2, 2, 1500))
    nibabel.save(image, FOLDER / "movie.mgz")
    say("movie.mgz", movie.transpose(3, 2, 1, 0).astype(">i2"), "tzyx", [1500, 2, 2, 2],
        ["millisecond"] + ["millimeter"] * 3)


def _ds(rows, columns, **more):
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", generate_uid()
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = rows, columns, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.Modality = "CT"
    for k, v in more.items():
        setattr(ds, k, v)
    return ds


def dicom():
    from pydicom.uid import RLELossless
    v = V[0, 0]
    folder = FOLDER / "series"
    folder.mkdir()
    for k in (2, 0, 1):  # names and numbers say otherwise than places
        ds = _ds(20, 30, SeriesInstanceUID="1.2.3", InstanceNumber=9 - k, PixelSpacing=[.5, .25], RescaleSlope=1,
                 RescaleIntercept=-1024, SliceThickness=9, ImageOrientationPatient=[1, 0, 0, 0, 1, 0], BitsStored=12,
                 HighBit=11, ImagePositionPatient=[-10, -20, 100 + 2.5 * k], SeriesDescription="head")
        ds.PixelData = v[k].tobytes()
        ds.save_as(folder / f"IM{(k * 7) % 5}" if k else folder / "IM9.dcm", enforce_file_format=True)
    (folder / "notes.txt").write_text("not an image")
    say("series", v.astype("i2") - 1024, "zyx", [2.5, .5, .25], ["millimeter"] * 3, translation=[100, -20, -10])
    folder = FOLDER / "two"  # a series of two times, and a picture of another
    folder.mkdir()
    for k, (t, z) in enumerate(np.ndindex(2, 3)):
        ds = _ds(20, 30, SeriesInstanceUID="1.2.3", InstanceNumber=k, PixelSpacing=[.5, .25],
                 ImageOrientationPatient=[0, 1, 0, 0, 0, -1], ImagePositionPatient=[-2.0 * z, 5, 6])
        ds.PixelData = V[t, 0, z].tobytes()
        ds.save_as(folder / f"{k}.dcm", enforce_file_format=True)
    ds = _ds(10, 30, SeriesInstanceUID="1.2.4", PixelSpacing=[1, 1])
    ds.PixelData = V[0, 0, 0, :10].tobytes()
    ds.save_as(folder / "9.dcm", enforce_file_format=True)
    say("two::0", V[:, 0], "tzyx", [1, 2, .5, .25], [None] + ["millimeter"] * 3)
    say("two::1", V[0, 0, 0, :10], "yx", [1, 1], ["millimeter"] * 2)
    ds = _ds(20, 30, NumberOfFrames=3, FrameTime=40.0, PixelSpacing=[1, 1])
    ds.PixelData = v.tobytes()
    ds.save_as(FOLDER / "frames.dcm", enforce_file_format=True)
    say("frames.dcm", v, "tyx", [40, 1, 1], ["millisecond", "millimeter", "millimeter"])
    rgb = np.stack([v[0] % 251, v[1] % 241, v[2] % 239], -1).astype("u1")
    ds = _ds(20, 30, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0, BitsAllocated=8,
             BitsStored=8, HighBit=7, Modality="OT")
    ds.PixelData = rgb.tobytes()
    ds.compress(RLELossless)
    ds.save_as(FOLDER / "colour.dcm", enforce_file_format=True)
    say("colour.dcm", rgb.transpose(2, 0, 1), "cyx", [1, 1, 1], channels=["red", "green", "blue"])
    ds = _ds(20, 30, RescaleSlope=.5, RescaleIntercept=1)
    ds.PixelData = v[0].tobytes()
    ds.save_as(FOLDER / "IM0001", enforce_file_format=True)  # as most are called
    say("IM0001", v[0] * .5 + 1, "yx", [1, 1])


def czi():
    from pylibCZIrw import czi as library
    v = V.astype("u2")
    with library.create_czi(str(FOLDER / "cells.czi")) as doc:
        for t, c, z in np.ndindex(2, 2, 3):
            doc.write(v[t, c, z][..., None], plane={"T": t, "Z": z, "C": c})
        doc.write_metadata("cells", channel_names={0: "DAPI", 1: "GFP"}, scale_x=5e-7, scale_y=5e-7, scale_z=2e-6)
    say("cells.czi", v, "tczyx", [1, 1, 2, .5, .5], [None, None] + ["micrometer"] * 3, ["DAPI", "GFP"])
    rgb = np.stack([V[0, 0, k] % (251 - k) for k in range(3)], -1).astype("u1")
    with library.create_czi(str(FOLDER / "colour.czi"), compression_options="zstd1:ExplicitLevel=2") as doc:
        doc.write(rgb, plane={})
        doc.write(rgb + 1, plane={}, scene=1, location=(100, 200))
    say("colour.czi::0", rgb[..., ::-1].transpose(2, 0, 1), "cyx", [1, 1, 1], channels=["red", "green", "blue"])
    say("colour.czi::1", (rgb + 1)[..., ::-1].transpose(2, 0, 1), "cyx", [1, 1, 1], channels=["red", "green", "blue"])
    wide = np.arange(1100 * 1300, dtype="u2").reshape(1100, 1300)  # wider than a tile, in a mosaic
    with library.create_czi(str(FOLDER / "mosaic.czi")) as doc:
        for y, x in ((0, 0), (0, 650), (550, 0), (550, 650)):
            doc.write(np.ascontiguousarray(wide[y:y + 550, x:x + 650, None]), location=(x - 300, y - 70), plane={})
    say("mosaic.czi", wide, "yx", [1, 1])


def _lif_block(data, head=None):
    text = (head or "MemBlock_1").encode("utf-16-le")
    return struct.pack("<IIBQBI", 0x70, len(text) + 9 + 5, 0x2A, len(data), 0x2A, len(text) // 2) + text + data


def lif():
    v = np.ascontiguousarray(V.transpose(0, 2, 1, 3, 4))  # stored t z c y x
    n = [v.strides[k] for k in range(5)]
    dims = "".join(f'<DimensionDescription DimID="{d}" NumberOfElements="{c}" Origin="0" Length="{length}" Unit="{u}" '
                   f'BitInc="0" BytesInc="{b}"/>' for d, c, length, u, b in (
                       (1, 30, 29 * 5e-7, "m", n[4]), (2, 20, 19 * 5e-7, "m", n[3]), (3, 3, 2 * 2e-6, "m", n[1]),
                       (4, 2, 30.0, "s", n[0])))
    channels = "".join(f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" '
                       f'Max="65535" Unit="" LUTName="{lut}" IsLUTInverted="0" BytesInc="{k * n[2]}" BitInc="0"/>'
                       for k, lut in enumerate(("Green", "Red")))
    xml = ('<LMSDataContainerHeader Version="2"><Element Name="project"><Children><Element Name="first" UniqueID="1">'
           f'<Data><Image><ImageDescription><Channels>{channels}</Channels><Dimensions>{dims}</Dimensions>'
           '</ImageDescription></Image></Data><Memory Size="%d" MemoryBlockID="MemBlock_1"/></Element></Children>'
           '</Element></LMSDataContainerHeader>' % v.nbytes).encode("utf-16-le")
    head = struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2) + xml
    (FOLDER / "leica.lif").write_bytes(head + _lif_block(v.tobytes()))
    say("leica.lif", V, "tczyx", [30, 1, 2, .5, .5], ["second", None] + ["micrometer"] * 3, ["Ch0", "Ch1"])
    text = xml.decode("utf-16-le")
    first = text[text.index('<Element Name="first"'):text.index("</Children>")]
    both = text.replace(first, first + first.replace('"first" UniqueID="1"', '"second" UniqueID="2"').replace("Block_1", "Block_2"))
    xml = both.encode("utf-16-le")
    head = struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2) + xml
    (FOLDER / "images.lif").write_bytes(head + _lif_block(v.tobytes()) + _lif_block((v + 1).tobytes(), "MemBlock_2"))
    say("images.lif::1", V + 1, "tczyx", [30, 1, 2, .5, .5], ["second", None] + ["micrometer"] * 3, ["Ch0", "Ch1"])


def _lv(name, value):
    """A variant of Nikon's: of a whole number, a real, a text or a level of those."""
    text = (name + "\0").encode("utf-16-le")
    head = bytes([{int: 3, float: 6, str: 8, dict: 11}[type(value)], len(text) // 2]) + text
    if isinstance(value, int):
        return head + struct.pack("<I", value)
    if isinstance(value, float):
        return head + struct.pack("<d", value)
    if isinstance(value, str):
        return head + (value + "\0").encode("utf-16-le")
    body = b"".join(_lv(k, v) for k, v in value.items())
    return head + struct.pack("<IQ", len(value), len(head) + 12 + len(body)) + body + bytes(8 * len(value))


def _nd2(path, chunks):
    out, places = bytearray(), []

    def put(name, data):
        places.append((name, len(out), len(data)))
        out.extend(struct.pack("<IIQ", 0x0ABECEDA, len(name), len(data)) + name + data)
    put(b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0".ljust(64, b"\0"))
    for name, data in chunks:
        if name.startswith(b"ImageDataSeq"):  # values begin 4096 bytes after their chunk, a time before them
            places.append((name, len(out), len(data)))
            out.extend(struct.pack("<IIQ", 0x0ABECEDA, 4072, len(data)) + name.ljust(4072, b"\0") + data)
        else:
            put(name, data)
    at = len(out)
    names = b"".join(n + struct.pack("<QQ", a, s) for n, a, s in places)
    names += b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", at)
    put(b"ND2 FILEMAP SIGNATURE NAME 0001!", names)
    path.write_bytes(bytes(out))


def nd2():
    v = V.transpose(0, 2, 3, 4, 1)  # frames t z of pixels of channels
    attributes = {"SLxImageAttributes": {
        "uiWidth": 30, "uiWidthBytes": 30 * 4, "uiHeight": 20, "uiComp": 2, "uiBpcInMemory": 16, "uiBpcSignificant": 16,
        "uiSequenceCount": 6, "uiTileWidth": 30, "uiTileHeight": 20, "eCompression": 2, "dCompressionParam": 0.0}}
    light = {"uiCount": 1, "pPoint": {"Point0": {"eType": 1, "dTValue": 1.0, "dWavelength": 488.0}}}
    probe = {"m_ExcitationSpectrum": light, "m_EmissionSpectrum": light}
    planes = {f"a{k}": {"sDescription": name, "uiColor": colour, "uiCompCount": 1, "uiSampleIndex": k,
                        "pFluorescentProbe": probe}
              for k, (name, colour) in enumerate((("DAPI", 0xFF0000), ("GFP", 0x00FF00)))}
    meta = {"SLxPictureMetadata": {"bCalibrated": 1, "dCalibration": 0.65, "dZStep": 2.0,
                                   "sPicturePlanes": {"uiCount": 2, "sPlaneNew": planes}}}
    stack = {"eType": 4, "uLoopPars": {"uiCount": 3, "dZLow": 0.0, "dZHigh": 4.0, "dZStep": 2.0, "dZHome": 2.0,
                                       "bAbsolute": 0, "bZInverted": 0, "wsZDevice": "Z"}}
    loops = {"SLxExperiment": {"eType": 1, "uLoopPars": {"uiCount": 2, "dStart": 0.0, "dPeriod": 250.0,
                                                         "dDuration": 500.0}, "ppNextLevelEx": {"i0000000000": stack}}}
    chunks = [(name, b"".join(_lv(k, v) for k, v in said.items())) for name, said in (
        (b"ImageAttributesLV!", attributes), (b"ImageMetadataSeqLV|0!", meta), (b"ImageMetadataLV!", loops))]
    frames = v.reshape(6, 20, 30, 2)
    chunks += [(b"ImageDataSeq|%d!" % k, struct.pack("<d", k) + frames[k].tobytes()) for k in range(6)]
    _nd2(FOLDER / "nikon.nd2", chunks)
    say("nikon.nd2", V, "tczyx", [250, 1, 2, .65, .65],
        ["millisecond", None] + ["micrometer"] * 3, ["DAPI", "GFP"])


def imaris():
    import h5py

    def text(value):
        return np.frombuffer(value.encode(), "S1")
    with h5py.File(FOLDER / "levels.ims", "w") as f:
        f.attrs["ImarisDataSet"] = text("ImarisDataSet")
        for r, v in enumerate((V, V[..., ::2, ::2])):
            for t, c in np.ndindex(2, 2):
                g = f.create_group(f"DataSet/ResolutionLevel {r}/TimePoint {t}/Channel {c}")
                padded = np.zeros((4, 32, 32), "u2")
                padded[:3, :v.shape[3], :v.shape[4]] = v[t, c]
                g.create_dataset("Data", data=padded, chunks=(4, 16, 16), compression="gzip")
                for a, n in zip("ZYX", v.shape[2:]):
                    g.attrs[f"ImageSize{a}"] = text(str(n))
        image = f.create_group("DataSetInfo/Image")
        for k, (low, high) in enumerate(((10, 25), (0, 10), (-3, 3))):
            image.attrs[f"ExtMin{k}"], image.attrs[f"ExtMax{k}"] = text(str(low)), text(str(high))
        image.attrs["Unit"] = text("um")
        for c, (name, colour) in enumerate((("nuclei", "0.000 0.000 1.000"), ("actin", "1.000 0.500 0.000"))):
            g = f.create_group(f"DataSetInfo/Channel {c}")
            g.attrs["Name"], g.attrs["Color"] = text(name), text(colour)
    say("levels.ims", V, "tczyx", [1, 1, 2, .5, .5], [None, None] + ["micrometer"] * 3, ["nuclei", "actin"],
        [0, 0, -2, .25, 10.25])


def tiffs():
    import tifffile
    folder = FOLDER / "planes"
    folder.mkdir()
    for c, z in np.ndindex(2, 3):
        tifffile.imwrite(folder / f"cells_z{9 + z}_ch{c}.tif", V[0, c, z], resolution=(2e4, 2e4), resolutionunit="CENTIMETER",
                         compression="zlib")
    say("planes", V[0], "czyx", [1, 1, .5, .5], [None, None, "micrometer", "micrometer"])
    folder = FOLDER / "numbered"
    folder.mkdir()
    for z in range(3):
        tifffile.imwrite(folder / f"{8 + z}.tif", V[0, 0, z])  # 8, 9, 10
    say("numbered", V[0, 0], "zyx", [1, 1, 1])
    folder = FOLDER / "groups"
    folder.mkdir()
    for k in range(2):
        tifffile.imwrite(folder / f"stack-t{k}.tif", V[k, 0], imagej=True, metadata={"axes": "ZYX", "spacing": 3.0, "unit": "um"})
        tifffile.imwrite(folder / f"gain_{k}.tif", V[0, k, 0])
    tifffile.imwrite(folder / "dark.tif", np.stack([V[0, 0, k] % 251 for k in range(3)], -1).astype("u1"), photometric="rgb")
    say("groups::stack_t", V[:, 0], "tzyx", [1, 3, 1, 1], [None] + ["micrometer"] * 3)
    say("groups::gain", V[0, :, 0], "zyx", [1, 1, 1])
    say("groups::dark", np.stack([V[0, 0, k] % 251 for k in range(3)]).astype("u1"), "cyx", [1, 1, 1],
        channels=["red", "green", "blue"])


def make_all(folder, kinds=()):
    """Those kinds, or all, in the folder; returns what is expected of each."""
    global FOLDER
    FOLDER = Path(folder)
    (FOLDER / "want").mkdir(parents=True)
    for make in (mrc, nrrd, mgh, dicom, czi, lif, nd2, imaris, tiffs):
        if not kinds or make.__name__ in kinds:
            make()
    return EXPECTED


if __name__ == "__main__":
    print(json.dumps(make_all(sys.argv[1], sys.argv[2:])))
