"""Nothing on a page needs more than a strict content policy and a small download."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from django.conf import settings
from django.test import Client, override_settings

from hub.machines.models import Machine
from hub.web.templatetags import assets

ROOT = Path(settings.BASE_DIR)
# A mail has no policy, and its readers know no style sheets.
MAILS = ROOT / "templates" / "alerts"
TEMPLATES = sorted(
    path
    for path in (ROOT / "templates").rglob("*.html")
    if not path.is_relative_to(MAILS)
)
BUDGET_BYTES = 150_000

INLINE = re.compile(
    r"""<[^>]*\s(on[a-z]+|style)\s*=   # a handler or a style in a tag
        |<style[\s>]
        |javascript:
        |<script(?![^>]*(?:\bsrc=|\bnonce=|type="application/json"))""",
    re.VERBOSE | re.IGNORECASE,
)
IMPORT = re.compile(r"""(?:import|from)\s*"(\./[^"]+)";""")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_inline_script_style_or_handler(path: Path) -> None:
    assert INLINE.search(path.read_text()) is None


@pytest.mark.parametrize(
    "bad",
    [
        '<img onerror="x">',
        '<p class="a" style="color:red">',
        "<style>p{}</style>",
        "<script>x</script>",
        '<a href="javascript:x">',
    ],
)
def test_what_the_policy_forbids_would_be_found(bad: str) -> None:
    assert INLINE.search(bad)


def test_scripts_make_no_markup_and_run_no_text() -> None:
    for path in (ROOT / "static" / "js").glob("*.js"):
        assert not re.search(
            r"\.(inner|outer)HTML\b|insertAdjacentHTML|document\.write"
            r"|\beval\(|new Function",
            path.read_text(),
        ), path


@pytest.mark.parametrize("name", ["overview", "machine"])
def test_a_page_is_light(name: str, client: Client, fleet: list[Machine]) -> None:
    path = {"overview": "/", "machine": f"/machines/{fleet[0].machine_id}/"}[name]
    html = client.get(path).content.decode()

    files = loaded(html)

    assert "js/live.js" in files
    total = sum(
        len(gzip.compress((ROOT / "static" / file).read_bytes())) for file in files
    )
    assert total < BUDGET_BYTES, f"{total} bytes: {sorted(files)}"


def loaded(html: str) -> set[str]:
    """Return every script and style of a page, with what scripts import."""
    found = set(re.findall(r"""(?:src|href)="/static/([^"]+\.(?:js|css))\"""", html))
    waiting = [name for name in found if name.startswith("js/")]
    while waiting:
        name = waiting.pop()
        text = (ROOT / "static" / name).read_text()
        for target in IMPORT.findall(text):
            other = urljoin(name, target)
            if other not in found:
                found.add(other)
                waiting.append(other)
    return found


def test_collected_modules_are_found_under_their_new_names(
    tmp_path: Path, client: Client
) -> None:
    from django.core.management import call_command

    storage = {
        "default": settings.STORAGES["default"],
        "staticfiles": {
            "BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"
        },
    }
    assets._renamed.cache_clear()
    with override_settings(STORAGES=storage, STATIC_ROOT=tmp_path):
        call_command("collectstatic", verbosity=0, interactive=False)
        answer = client.get("/")
    assets._renamed.cache_clear()

    found = re.search(
        r'<script type="importmap" nonce="([^"]+)">(.+?)</script>',
        answer.content.decode(),
    )
    assert found
    assert f"script-src 'self' 'nonce-{found[1]}'" in answer["Content-Security-Policy"]
    assert re.fullmatch(
        r"/static/js/units\.[0-9a-f]+\.js",
        json.loads(found[2])["imports"]["/static/js/units.js"],
    )


def test_a_checkout_needs_no_map() -> None:
    assets._renamed.cache_clear()

    assert assets.import_map("abc") == ""
