"""What can go wrong while an image is made, as one sentence for the user."""


class ImageError(Exception):
    """The image could not be made; the message is one sentence that names the thing and the remedy."""
