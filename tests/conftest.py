"""One thread for every test, as in a training cell: set before any numerical library is loaded.

Built data are kept in a folder that lives as long as the tests, so that they neither use the user's cache nor fill it.
"""

import os
import tempfile

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ[variable] = "1"

_cache = tempfile.TemporaryDirectory(prefix="mtlbench-cache-")
os.environ["MTLBENCH_CACHE"] = _cache.name
