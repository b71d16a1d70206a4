"""What browsers ask for by themselves: the icon of a site, and what a telephone's first screen needs."""

from flask import Flask, Response, current_app, jsonify, redirect
from werkzeug import Response as AnyResponse

from webapp.layout.assets import asset_url
from webapp.layout.brand import MARK, brand_of


def register(app: Flask) -> None:
    """Add GET /favicon.ico and GET /manifest.webmanifest."""
    app.add_url_rule("/favicon.ico", "favicon", show_favicon)
    app.add_url_rule("/manifest.webmanifest", "manifest", show_manifest)


def show_favicon() -> AnyResponse:
    """Where a browser looks when a page names no icon; an operator's own name comes with no picture of ours."""
    brand = brand_of(current_app.config["SETTINGS"])
    name = "img/favicon.ico" if brand.has_our_icons else brand.logo or MARK
    return redirect(asset_url(name), 302)


def show_manifest() -> Response:
    """What a telephone needs to put these pages on its first screen."""
    brand = brand_of(current_app.config["SETTINGS"])
    if brand.logo:
        icons = [{"src": asset_url(brand.logo), "sizes": "any"}]
    else:
        icons = [{"src": asset_url(MARK), "sizes": "any", "type": "image/svg+xml"}]
    if brand.has_our_icons:
        icons.append({"src": asset_url("img/icon-512.png"), "sizes": "512x512", "type": "image/png"})
    response = jsonify(
        name=brand.name,
        short_name=brand.name[:24],
        start_url="/credits",
        display="minimal-ui",
        background_color="#ffffff",
        theme_color="#ffffff",
        icons=icons,
    )
    response.mimetype = "application/manifest+json"
    response.cache_control.public = True
    response.cache_control.max_age = 3600
    return response
