"""The files of a package before they are written: folders, files and symbolic links by path, all
of them root's.
"""
import os
import stat


class Entry:
    """One of them; `data` is what is in a file, the target of a link, nothing in a folder."""

    def __init__(self, kind, mode, data=b""):
        self.kind, self.mode, self.data = kind, mode, data


class Tree:
    """Entries by path; folders on the way to one come with it."""

    def __init__(self):
        self.entries = {"": Entry("folder", 0o755)}

    def folder(self, path, mode):
        self._add(path, Entry("folder", mode))

    def file(self, path, data, mode):
        self._add(path, Entry("file", mode, data))

    def link(self, path, target):
        self._add(path, Entry("link", 0o777, target.encode()))

    def copy(self, source, place):
        """What is below a folder of the repository; whoever may execute a file may do so there."""
        for folder, folders, names in os.walk(source):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    data = file.read()
                mode = 0o755 if os.stat(path).st_mode & stat.S_IXUSR else 0o644
                self.file(os.path.join(place, os.path.relpath(path, source)), data, mode)

    def is_file(self, path):
        entry = self.entries.get(path.strip("/"))
        return entry is not None and entry.kind == "file"

    def folders(self):
        """Paths of all folders, sorted, that of the root (empty) first."""
        return sorted((path for path, entry in self.entries.items() if entry.kind == "folder"),
                      key=lambda path: path.encode())

    def inside(self, folder):
        """Name and entry of all that is directly in a folder, sorted."""
        found = []
        for path, entry in self.entries.items():
            parent, _, name = path.rpartition("/")
            if path and parent == folder:
                found.append((name, entry))
        return sorted(found, key=lambda pair: pair[0].encode())

    def walk(self, folder=""):
        """Path and entry of everything below a folder, each before what is in it."""
        for name, entry in self.inside(folder):
            path = f"{folder}/{name}" if folder else name
            yield path, entry
            if entry.kind == "folder":
                yield from self.walk(path)

    def copied(self):
        tree = Tree()
        tree.entries = dict(self.entries)
        return tree

    def _add(self, path, entry):
        path = path.strip("/")
        parent = os.path.dirname(path)
        while parent:
            self.entries.setdefault(parent, Entry("folder", 0o755))
            parent = os.path.dirname(parent)
        self.entries[path] = entry
