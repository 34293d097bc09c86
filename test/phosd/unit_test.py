"""The systemd unit: that systemd takes it, and that its sandbox is shut."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

UNIT = os.environ["UNIT"]
PHOSD = os.environ["PHOSD"]
EXPOSURE_MAX = 2.0  # of 10; a unit without any of it has 9.6


def analyze(*arguments):
    return subprocess.run(["systemd-analyze"] + list(arguments),
                          capture_output=True, text=True, timeout=60)


if not shutil.which("systemd-analyze"):
    print("1..0 # SKIP no systemd-analyze here")
    sys.exit(0)

with tempfile.TemporaryDirectory(prefix="phosd-test-") as folder:
    path = os.path.join(folder, "phosd.service")
    with open(UNIT) as file:
        text = file.read()
    # The program as it is built, not as it will be installed.
    text = re.sub(r"(?m)^ExecStart=.*$", "ExecStart=" + PHOSD, text)
    with open(path, "w") as file:
        file.write(text)
    print("1..2")
    done = analyze("verify", path)
    told = [line for line in (done.stdout + done.stderr).splitlines()
            if "phosd" in line]
    for line in told:
        print("# " + line)
    failed = done.returncode != 0 or told != []
    print("%s 1 - systemd takes the unit without a word"
          % ("not ok" if failed else "ok"))
    done = analyze("security", "--offline=yes", path)
    found = re.search(r"exposure level for phosd.service: ([\d.]+)",
                      done.stdout)
    if not found:
        print("ok 2 - the sandbox is shut # SKIP this systemd cannot tell")
    else:
        level = float(found.group(1))
        print("# exposure %.1f" % level)
        failed = failed or level > EXPOSURE_MAX
        print("%s 2 - the sandbox is shut"
              % ("not ok" if level > EXPOSURE_MAX else "ok"))
    sys.exit(1 if failed else 0)
