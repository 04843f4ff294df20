"""Writes ADB, the binary container of apk-tools 3: values of 32 bits that are small integers or
point at blobs, objects and arrays before them, equal ones once.
"""
import struct

PACKAGE = 0x676B_6370  # "pckg"
INDEX = 0x7864_6E69  # "indx"

INT, INT_32, INT_64 = 0x1000_0000, 0x2000_0000, 0x3000_0000
BLOB_8, BLOB_16, BLOB_32 = 0x8000_0000, 0x9000_0000, 0xA000_0000
ARRAY, OBJECT = 0xD000_0000, 0xE000_0000


class Adb:
    """What is written so far, behind a header of eight octets: versions (0, 0) and the root."""

    def __init__(self):
        self.payload = bytearray(8)
        self.places = {}

    def integer(self, value):
        if value < 1 << 28:
            return INT | value
        if value < 1 << 32:
            return INT_32 | self._place(struct.pack("<I", value), 4)
        return INT_64 | self._place(struct.pack("<Q", value), 8)

    def blob(self, value):
        """Text or octets; an empty one is the null value."""
        value = value.encode() if isinstance(value, str) else value
        if not value:
            return 0
        if len(value) < 1 << 8:
            return BLOB_8 | self._place(struct.pack("<B", len(value)) + value, 1)
        if len(value) < 1 << 16:
            return BLOB_16 | self._place(struct.pack("<H", len(value)) + value, 2)
        return BLOB_32 | self._place(struct.pack("<I", len(value)) + value, 4)

    def raw(self, value):
        """A short blob that is shared with no other, because it is changed later."""
        at = len(self.payload)
        self.payload += struct.pack("<B", len(value)) + value
        return BLOB_8 | at

    def object(self, values):
        return self._slots(OBJECT, values)

    def array(self, values):
        return self._slots(ARRAY, values)

    def finish(self, root):
        """The whole payload."""
        self.payload[4:8] = struct.pack("<I", root)
        return bytes(self.payload)

    def _slots(self, kind, values):
        values = list(values)
        while values and values[-1] == 0:
            values.pop()
        if not values:
            return 0
        count = len(values) + 1
        return kind | self._place(struct.pack(f"<{count}I", count, *values), 4)

    def _place(self, data, alignment):
        key = (data, alignment)
        if key not in self.places:
            self.payload += bytes(-len(self.payload) % alignment)
            self.places[key] = len(self.payload)
            self.payload += data
        return self.places[key]


def block(kind, data):
    """A block of the file: kind and length in a word, the data, and zeros up to eight octets."""
    word = struct.pack("<I", kind << 30 | len(data) + 4)
    return word + data + bytes(-(len(data) + 4) % 8)
