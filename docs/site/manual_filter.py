#!/usr/bin/env python3
"""Gives Doxygen a manual page, as mandoc shows it.

    manual_filter.py PAGE
"""
import os
import re
import subprocess
import sys

path = sys.argv[1]
name, section = os.path.basename(path).rsplit(".", 1)
shown = subprocess.run(["mandoc", "-T", "html", "-O",
                        "fragment,man=%N-%S.html", path],
                       check=True, capture_output=True, text=True).stdout
# Pages of others are not here, and what the page's ends say stands elsewhere.
shown = re.sub(r'<a class="Xr" href="(?!(?:phos|phosd|libphos)-)[^"]*"[^>]*>'
               r"(.*?)</a>", r"\1", shown)
shown = re.sub(r'<table class="(?:head|foot)">.*?</table>', "", shown,
               flags=re.S)
print(f"# {name}({section}) {{#{name}-{section}}}\n\n"
      f'@htmlonly\n<div class="manual">\n{shown}\n</div>\n@endhtmlonly')
