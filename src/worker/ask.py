"""What building a worker asks the interpreter that it is for; prints, with semicolons between: version, minor version,
its headers, NumPy's headers, its shared libpython (engine/pyenv.c asks likewise, of any prefix, at the start)."""
import os
import sys
import sysconfig

v = sysconfig.get_config_var
try:
    import numpy
    include = numpy.get_include()
except ImportError:
    include = ""
minor = "%d.%d" % sys.version_info[:2]
library = "libpython" + (v("LDVERSION") or minor) + ".so.1.0"
folders = [os.path.join(sys.base_prefix, "lib"), os.path.join(sys.base_exec_prefix, "lib"), v("LIBDIR") or "",
           os.path.join(v("LIBDIR") or "", v("MULTIARCH") or "")]
found = [f for f in (os.path.join(d, library) for d in folders if os.path.isabs(d)) if os.path.isfile(f)]
print(";".join(["%d.%d.%d" % sys.version_info[:3], minor, sysconfig.get_path("include"), include,
                found[0] if found else ""]), end="")
