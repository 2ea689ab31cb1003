"""A disk that loses its power: an ext4 on a loop device, shut down by its own ioctl. Nothing more is written then, not even
its journal; what was written is there again as another disk.
"""

import fcntl
import os
import shutil
import struct
import subprocess

_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
_NO_LOG_FLUSH = 2
MISSING = [name for name in ("mkfs.ext4", "mount", "losetup") if not shutil.which(name)]


class Disk:
    def __init__(self, home):
        self.path = os.path.join(home, "disk")  # where it is mounted
        self._image, self._device = os.path.join(home, "image"), ""

    def make(self, size=256 << 20):
        """An empty one. False: we may not mount."""
        os.makedirs(self.path, exist_ok=True)
        with open(self._image, "wb") as file:
            file.truncate(size)
        subprocess.run(["mkfs.ext4", "-q", "-F", self._image], check=True)
        return self._mount()

    def _mount(self):
        made = subprocess.run(["losetup", "--find", "--show", self._image], capture_output=True, text=True)
        self._device = made.stdout.strip()
        return made.returncode == 0 and not subprocess.run(["mount", self._device, self.path], stderr=subprocess.DEVNULL).returncode

    def drop(self):
        """Whatever there is of it."""
        for words in (["umount", "-l", self.path], ["losetup", "--detach", self._device]):
            subprocess.run(words, stderr=subprocess.DEVNULL)
        if os.path.exists(self._image):
            os.remove(self._image)

    def lose_power(self):
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def get_back(self):
        """A copy of what was written, on another device: a mount namespace of somebody's may hold on to the one that is gone,
        and who mounts that again has it as it is, shut down. False: it cannot be mounted."""
        copy = self._image + ".copy"
        subprocess.run(["cp", "--sparse=always", self._image, copy], check=True)
        self.drop()
        os.rename(copy, self._image)
        return self._mount()
