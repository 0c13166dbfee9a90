"""The machine image: one Debian root file system for every host of every substrate.

`recipe/` says what is in it, `recipe.py` names it by the digest of all that, `pieces.py` fetches what is not a
Debian package, `rootfs.py` makes the root file system, and `podman_image.py` turns it into a podman image.
Nothing before `podman_image.py` knows about podman: a disk for virtual machines, made by `disk.py` with what `disk/`
adds, starts from the same directory.
"""
