"""Every part of the application, in the order in which `create_app` puts them together.

To import this is to import all of Tallystick, which takes a second or two of a processor.
"""

from webapp import (
    admin,
    api,
    billing,
    commands,
    credits,
    errors,
    health,
    i18n,
    layout,
    maintenance,
    metrics,
    notifications,
    people,
    reading,
    security,
    styleguide,
)

PARTS = (
    security,
    i18n,
    layout,
    reading,
    errors,
    health,
    metrics,
    maintenance,
    people,
    credits,
    billing,
    api,
    notifications,
    admin,
    styleguide,
    commands,
)
