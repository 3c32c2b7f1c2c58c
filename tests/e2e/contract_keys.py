"""The keys that the tests of the contract go over: what stores/basic.py has in each format, and what it hasn't."""
Z2, Z3 = "/zarr2/basic.zarr", "/zarr3/basic.zarr"
N5, PRE, BDV = "/n5/basic.n5", "/precomputed/basic", "/bdv/basic"
ARRAYS = ["ramp", "packed", "gz", "zs", "bits", "padded", "scalar", "empty", "line", "u64",
          "img/0", "seg/0", "grp/deep/arr"]
GROUPS = ["", "/grp", "/grp/deep", "/notes", "/img", "/seg"]
DOCUMENTS = ([f"{Z2}/{a}/{d}" for a in ARRAYS for d in (".zarray", ".zattrs")]
             + [f"{Z3}/{a}/zarr.json" for a in ARRAYS]
             + [f"{Z2}{g}/{d}" for g in GROUPS for d in (".zgroup", ".zattrs", ".zmetadata")]
             + [f"{Z3}{g}/zarr.json" for g in GROUPS]
             + [f"{N5}{g}/attributes.json" for g in ("", "/ramp", "/grp/deep", "/img", "/img/s0", "/bits")]
             + [f"{PRE}/{a}/info" for a in ("ramp", "img", "seg", "bits")]
             + [f"{BDV}/img/dataset.xml"]
             + [f"{BDV}/img/dataset.n5{g}/attributes.json" for g in ("", "/setup0", "/setup0/timepoint0",
                                                                     "/setup0/timepoint0/s0")])
CHUNKS = [f"{Z2}/ramp/0.0", f"{Z2}/packed/3.2", f"{Z2}/gz/1.1", f"{Z2}/zs/0.2", f"{Z2}/bits/1.1",
          f"{Z2}/padded/2.1", f"{Z2}/scalar/0", f"{Z2}/line/15", f"{Z2}/img/0/1/1/2",
          f"{Z2}/grp/deep/arr/1", f"{Z3}/ramp/c/0/0", f"{Z3}/packed/c/3/2", f"{Z3}/gz/c/1/1",
          f"{Z3}/zs/c/0/2", f"{Z3}/scalar/c", f"{Z3}/line/c/15", f"{Z3}/img/0/c/1/1/2",
          f"{Z3}/huge/c/33554431/33554431", f"{Z3}/grp/deep/arr/c/1",
          f"{N5}/ramp/0/0", f"{N5}/ramp/2/3", f"{N5}/line/15", f"{N5}/img/s0/2/1/1", f"{N5}/huge/0/7",
          f"{PRE}/ramp/0/0-8_8-16_0-1", f"{PRE}/img/0/32-40_16-30_16-20", f"{PRE}/seg/0/0-16_0-16_0-16",
          f"{BDV}/img/dataset.n5/setup0/timepoint0/s0/0/1/1"]
KEYS = DOCUMENTS + CHUNKS
MISSING = [f"{Z2}/nope/.zarray", f"{Z2}/nope/.zattrs", f"{Z3}/nope/zarr.json", f"{Z3}/zarr.jso",
           f"{Z2}/ramp/.zattrs/.zarray", f"{Z2}/ramp/.zgroup", f"{Z2}/img/.zarray",
           f"{Z3}/provenance", f"{Z2}/ramp/provenance", f"{Z2}/ramp/0.0/0.0", "/zarr2/no.zarr/.zgroup",
           "/zarr4/basic.zarr/zarr.json", "/favicon.ic", f"{Z3}/img/0/c/2", f"{Z3}/empty/c",
           f"{Z2}/zarr.json", f"{Z3}/.zgroup", f"{Z3}/ramp/.zarray", f"{Z2}/ramp/c/0/0",
           f"{Z3}/ramp/0.0", f"{N5}/nope/attributes.json", f"{N5}/ramp/0.0", f"{N5}/ramp/3/0",
           f"{N5}/img/0/0/0", f"{N5}/img/0/attributes.json", f"{N5}/scalar/attributes.json",
           f"{N5}/grp/deep/arr/attributes.json", f"{N5}/zarr.json", f"{PRE}/info", f"{PRE}/img/provenance",
           f"{PRE}/line/info", f"{PRE}/img/0/32-48_16-30_16-20", f"{PRE}/img/s0/0-16_0-16_0-16",
           f"{PRE}/img/attributes.json", f"{BDV}/ramp/dataset.xml", f"{BDV}/img/attributes.json",
           f"{BDV}/img/dataset.n5/setup1/attributes.json",
           f"{BDV}/img/dataset.n5/setup0/timepoint1/s0/0/0/0"]
