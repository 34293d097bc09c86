"""Texts that have harmed web pages: 300 of them, always the same."""

RUN = "window.harmed=1"

MARKUP = [
    "<script>{0}</script>", "<img src=x onerror={0}>", "<svg onload={0}>",
    "<svg><script>{0}</script></svg>", "<body onload={0}>",
    "<iframe srcdoc='<script>parent.{0}</script>'>",
    "<iframe src=\"javascript:parent.{0}\">", "<details open ontoggle={0}>",
    "<input autofocus onfocus={0}>", "<video><source onerror={0}>",
    "<a href=javascript:{0}>x</a>", "<math><mtext></form><img src onerror={0}>",
    "<style>@import'//example.com/x.css'</style>",
    "<link rel=stylesheet href=//example.com/x.css>",
    "<img src=//example.com/x.png>", "<base href=//example.com/>",
    "<meta http-equiv=refresh content='0;url=//example.com/'>",
    "<object data=//example.com/>", "<embed src=//example.com/>",
    "<form action=//example.com/><button autofocus>x</form>",
    "<template><script>{0}</script></template>",
    "<noscript><p title=\"</noscript><img src=x onerror={0}>\">",
    "<table background=\"//example.com/x.png\">",
    "<div style=\"background:url(//example.com/x)\">",
    "<marquee onstart={0}>", "<xmp><img src=x onerror={0}></xmp>",
    "<!--><img src=x onerror={0}>-->", "<![CDATA[<script>{0}</script>]]>",
    "<x onpointerenter={0} style=position:fixed;inset:0>x",
    "<svg><animate onbegin={0} attributeName=x dur=1s>",
    "<svg><use href=\"data:image/svg+xml,<svg onload={0}>\">",
    "<isindex type=image src=x onerror={0}>",
]

AROUND = ["{0}", "\"'>{0}", "</textarea></title></script>{0}", "']\"}});{0}//",
          "\u202e{0}", "\ufeff{0}\u0000", "&lt;{0}&gt; &#60;", "`${{{0}}}`"]

ALONE = [
    "", " ", "javascript:" + RUN, "JaVaScRiPt&colon;" + RUN,
    "data:text/html,<script>" + RUN + "</script>", "__proto__", "constructor",
    "hasOwnProperty", "toString", "then", "innerHTML", "null", "undefined",
    "NaN", "-1", "1e999", ".", "..", "../../etc/passwd", "%00", "%2e%2e%2f",
    "a?b#c&d=e", "#/session/x", "\u2028\u2029", "\r\n\t\u000b", "\u202e\u2066x",
    "\u0301" * 200, "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 20,
    "x" * 2500, "\u00a0" * 50, "{{7*7}}", "${7*7}", "<%= 7*7 %>", "%s%n%x",
    "'; DROP TABLE events; --", "\" OR 1=1 --", "*/alert(1)/*", "]]>", "-->",
    "\\u003cscript\\u003e", "\ud7ff\ue000\uffff", "\U0010ffff",
    "http://example.com/", "//example.com/", "\u0660\u0661", "\u05d0\u05d1 abc",
]


def texts():
    """300 texts without NUL, which JSON readers may refuse."""
    made = list(ALONE)
    for around in AROUND:
        for markup in MARKUP:
            made.append(around.format(markup.format(RUN)).replace("\0", ""))
    chosen = made[:300]
    assert len(chosen) == 300 and len(set(chosen)) == 300
    return chosen
