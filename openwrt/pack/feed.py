"""Reads what a feed's Makefile says of its packages: variables and `define` blocks, as far as they
are plain text.
"""
import re


class About:
    """What a package says of itself."""

    def __init__(self, title, description, section, license_, license_files, maintainer, conffiles):
        self.title = title
        self.description = description
        self.section = section
        self.license = license_
        self.license_files = license_files
        self.maintainer = maintainer
        self.conffiles = conffiles


class Makefile:
    """One such file."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"\\\n\s*", " ", file.read())
        self.values = dict(re.findall(r"^\s*([A-Z_]+)\s*:?=\s*(.*?)\s*$", text, re.MULTILINE))
        self.blocks = dict(re.findall(r"^define (\S+)\n(.*?)^endef$", text, re.MULTILINE | re.DOTALL))
        # One block that stands for another: `A=$(B)`.
        for name, other in re.findall(r"^(Package/\S+?)=\$\((Package/\S+)\)$", text, re.MULTILINE):
            self.blocks[name] = self.blocks[other]

    def get(self, name):
        if name not in self.values:
            raise ValueError(f"{name} is not set")
        return self.values[name]

    @property
    def name(self):
        return self.get("PKG_NAME")

    @property
    def version(self):
        return self.get("PKG_VERSION")

    @property
    def release(self):
        return int(self.get("PKG_RELEASE"))

    def package(self, name):
        if f"Package/{name}" not in self.blocks:
            raise ValueError(f"no package {name} is defined")
        block = self.blocks[f"Package/{name}"] + self.blocks.get(f"Package/{self.name}/Default", "")
        of = dict(re.findall(r"^\s*([A-Z]+):=(.*?)\s*$", block, re.MULTILINE))
        description = [line.strip() for line in self.blocks[f"Package/{name}/description"].split("\n")]
        return About(
            of["TITLE"], [line for line in description if line], of["SECTION"], self.get("PKG_LICENSE"),
            self.get("PKG_LICENSE_FILES"), self.get("PKG_MAINTAINER"),
            self.blocks.get(f"Package/{name}/conffiles", "").split(),
        )

    def luci(self, agent):
        """The same of an application for LuCI, whose Makefile says less."""
        title = self.get("LUCI_TITLE")
        description = self.values.get("LUCI_DESCRIPTION") or title
        return About(
            title, [description], "luci", self.values.get("PKG_LICENSE") or agent.get("PKG_LICENSE"),
            agent.get("PKG_LICENSE_FILES"), agent.get("PKG_MAINTAINER"), [],
        )
