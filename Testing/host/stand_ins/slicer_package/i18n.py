"""Stand-in for `slicer.i18n`: no translation is loaded, so texts come back as they are."""


def translate(context: str, text: str) -> str:
    """The text in the application's language."""
    return text


def tr(text: str) -> str:
    """The text in the application's language, its context being the calling module."""
    return text
