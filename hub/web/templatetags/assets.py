"""Front-end files whose names carry a digest once they are collected."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()


@register.simple_tag
def import_map(nonce: str) -> SafeString:
    """Send `import "./units.js"` to the file with its digest in the name.

    Modules name each other plainly, so that they run as they are in a checkout
    and in Node; the browser's import map does what a bundler would.
    """
    entries = _renamed()
    if not entries:
        return mark_safe("")
    return format_html(
        '<script type="importmap" nonce="{}">{}</script>', nonce, mark_safe(entries)
    )


@cache
def _renamed() -> str:
    folder = Path(settings.BASE_DIR) / "static" / "js"
    plain = {
        f"{settings.STATIC_URL}js/{path.name}": static(f"js/{path.name}")
        for path in sorted(folder.glob("*.js"))
    }
    renamed = {name: url for name, url in plain.items() if name != url}
    return json.dumps({"imports": renamed}) if renamed else ""
