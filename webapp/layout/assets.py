"""Static files under URLs that carry their content's hash, compressed once and kept in memory.

The stylesheet is one URL: the files of static/css joined in order (webapp.layout.stylesheet). Twenty small files
would be twenty requests before the first paint, and gzip over the whole is a third smaller than over the pieces;
joining needs no build step.

Only static files are compressed here. A page holds a form token beside text that a stranger may have chosen, and
compressing the two together is what BREACH reads; pages are small, and stay as they are.
"""

import gzip
import hashlib
import mimetypes
import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, abort, current_app, has_request_context, request, url_for
from werkzeug.security import safe_join

from webapp.config import Settings
from webapp.layout import brand, stylesheet

STYLESHEET = "tallystick.css"
A_YEAR = 31_536_000
# In sandbox mode, where somebody may be changing them, files are looked at once in so many seconds.
_LOOK_AGAIN_SECONDS = 0.5
_COMPRESSIBLE = {"text/css", "text/javascript", "image/svg+xml", "text/plain", "application/json"}


@dataclass
class Asset:
    """One static file as it is served; `stamp` tells whether the files behind it have changed since `looked_at`."""

    body: bytes
    compressed: bytes | None
    digest: str
    mimetype: str
    stamp: tuple[float, ...]
    looked_at: float


def register(app: Flask) -> None:
    """Serve /static from here, and let templates name a file by `asset(name)`."""
    app.extensions["assets"] = {}
    app.view_functions["static"] = serve
    app.jinja_env.globals["asset"] = asset_url


def asset_url(name: str) -> str:
    """The URL of a static file, with its hash: it may be cached for ever."""
    digest = load(name).digest
    if not has_request_context():
        return url_for("static", filename=name, v=digest)
    return _url_of(name, digest, request.script_root)


@lru_cache(maxsize=1_000)
def _url_of(name: str, digest: str, _mounted_at: str) -> str:
    return url_for("static", filename=name, v=digest)


def serve(filename: str) -> Response:
    """A static file: immutable under its own hash, revalidated under any other name."""
    asset = load(filename)
    response = Response(asset.body, mimetype=asset.mimetype)
    if asset.compressed is not None:
        response.vary.add("Accept-Encoding")
        if request.accept_encodings["gzip"] > 0:
            response.data = asset.compressed
            response.content_encoding = "gzip"
    response.set_etag(asset.digest + ("-gzip" if response.content_encoding else ""))
    if request.args.get("v") == asset.digest:
        response.cache_control.public = True
        response.cache_control.max_age = A_YEAR
        response.cache_control.immutable = True
    else:
        response.cache_control.no_cache = True
    response.make_conditional(request)
    return response


def load(name: str) -> Asset:
    """The asset of that name, from memory; read again when a file behind it changed. 404 when there is none."""
    kept: dict[str, Asset] = current_app.extensions["assets"]
    asset = kept.get(name)
    if asset is None or (current_app.config["SANDBOX"] and _has_changed(name, asset)):
        asset = kept[name] = _read(name)
    return asset


def _has_changed(name: str, asset: Asset) -> bool:
    moment = time.monotonic()
    if moment - asset.looked_at < _LOOK_AGAIN_SECONDS:
        return False
    asset.looked_at = moment
    return asset.stamp != _stamp(_files(name))


def _files(name: str) -> list[Path]:
    folder = Path(current_app.static_folder or "").resolve()
    if name == STYLESHEET:
        css = folder / "css"
        return [css / "tokens.css", css / "base.css", *sorted((css / "components").glob("*.css"))]
    if name == brand.MARK:
        return [folder / "img" / "favicon.svg"]
    if own := brand.file_of(current_app.config["SETTINGS"], name):
        return [own]
    path = safe_join(str(folder), name)
    if path is None or "\x00" in path or not os.path.isfile(path):  # Path.is_file raises for a long name
        abort(404)
    return [Path(path)]


def _stamp(files: list[Path]) -> tuple[float, ...]:
    return tuple(path.stat().st_mtime for path in files)


def _read(name: str) -> Asset:
    files = _files(name)
    stamp = _stamp(files)
    settings: Settings = current_app.config["SETTINGS"]
    if name == STYLESHEET:
        body = stylesheet.join((path.read_text("utf-8") for path in files), hue=settings.brand_hue).encode()
    elif name == brand.MARK:
        body = brand.mark_of(settings, files[0].read_text("utf-8")).encode()
    else:
        body = files[0].read_bytes()
    mimetype = mimetypes.guess_type(name)[0] or "application/octet-stream"
    small = mimetype in _COMPRESSIBLE and len(body) > 1_000
    return Asset(
        body=body,
        compressed=gzip.compress(body, 9, mtime=0) if small else None,
        digest=hashlib.sha256(body).hexdigest()[:16],
        mimetype=mimetype,
        stamp=stamp,
        looked_at=time.monotonic(),
    )
