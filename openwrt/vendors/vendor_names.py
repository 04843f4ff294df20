"""Short names of the makers of network hardware, out of the registered names of companies.

The registry spells one company in many ways and says where it sits and what its legal form is;
a table of devices has room for the name alone: `Shenzhen Reo-link Digital Technology Co., Ltd.` is
`Reo-link`.
"""
import functools
import re
import unicodedata

LONGEST = 20  # Bytes; longer names are cut at a word.

# Companies whose registered names differ more than the rules below can bridge, or whose brand isn't
# the name of the company. The first that matches wins; patterns are of the lower-case name.
BRANDS = [(re.compile(pattern), name) for pattern, name in (
    (r"^apple\b", "Apple"), (r"^cisco-linksys|^linksys", "Linksys"),
    (r"^cisco (meraki|spvtg)", "Cisco"), (r"^meraki", "Meraki"), (r"^cisco", "Cisco"),
    (r"^huawei", "Huawei"), (r"^honor device", "Honor"), (r"^samsung", "Samsung"),
    (r"^intel (corp|wireless)", "Intel"), (r"^arris\b", "ARRIS"), (r"^zte\b", "ZTE"),
    (r"^texas instr", "Texas Instruments"), (r"^tp-?link", "TP-Link"), (r"^dell\b", "Dell"),
    (r"^xiaomi|^beijing xiaomi", "Xiaomi"), (r"^juniper", "Juniper"),
    (r"^hewlett packard enterp", "HPE"), (r"^aruba,", "Aruba"),
    (r"^(hewlett[ -]packard|hp inc)", "HP"), (r"^sagemcom", "Sagemcom"), (r"^amazon", "Amazon"),
    (r"^espressif", "Espressif"), (r"^(hon hai|foxconn)", "Foxconn"),
    (r"^nanning fugui|^nan ?jing fugui", "Foxconn"), (r"\boppo\b", "OPPO"), (r"^vivo\b", "vivo"),
    (r"^nokia", "Nokia"), (r"^asustek", "ASUS"), (r"\bh3c\b", "H3C"), (r"^sony", "Sony"),
    (r"^technicolor|^thomson", "Technicolor"), (r"^lg (electr|innotek|info)", "LG"),
    (r"^ruckus", "Ruckus"), (r"^motorola", "Motorola"), (r"^netgear", "Netgear"),
    (r"^google", "Google"), (r"^nest labs", "Nest"), (r"^microsoft", "Microsoft"),
    (r"^murata", "Murata"), (r"^ubiquiti", "Ubiquiti"), (r"^avm (gmbh|audio)", "AVM"),
    (r"^(routerboard|mikrotik)", "MikroTik"), (r"^d-?link", "D-Link"), (r"^zyxel", "Zyxel"),
    (r"^raspberry", "Raspberry Pi"), (r"^tuya", "Tuya"), (r"^sonos", "Sonos"), (r"^roku", "Roku"),
    (r"^philips lighting|^signify", "Signify (Hue)"), (r"^(koninklijke )?philips", "Philips"),
    (r"^vmware", "VMware"), (r"^xensource", "Xen"), (r"^parallels", "Parallels"),
    (r"^pcs systemtechnik|^cadmus computer", "VirtualBox"), (r"^oracle", "Oracle"),
    (r"^nintendo", "Nintendo"), (r"^valve", "Valve"), (r"^oneplus", "OnePlus"),
    (r"^realme", "realme"), (r"^lenovo", "Lenovo"), (r"^wistron", "Wistron"),
    (r"^quanta", "Quanta"), (r"^compal", "Compal"), (r"^pegatron", "Pegatron"),
    (r"^liteon|^lite-on", "Lite-On"), (r"^azurewave", "AzureWave"), (r"^realtek", "Realtek"),
    (r"^broadcom", "Broadcom"), (r"^qualcomm", "Qualcomm"), (r"^mediatek", "MediaTek"),
    (r"^fn-link", "FN-Link"), (r"^fiberhome", "Fiberhome"), (r"^skyworth", "Skyworth"),
    (r"^hisense", "Hisense"), (r"^tcl\b", "TCL"), (r"^huizhou tcl", "TCL"), (r"^vizio", "Vizio"),
    (r"^sharp\b", "Sharp"), (r"^panasonic", "Panasonic"), (r"^toshiba", "Toshiba"),
    (r"^canon\b", "Canon"), (r"^seiko epson", "Epson"), (r"^brother ind", "Brother"),
    (r"^xerox", "Xerox"), (r"^kyocera", "Kyocera"), (r"^ricoh", "Ricoh"), (r"^lexmark", "Lexmark"),
    (r"^konica", "Konica Minolta"), (r"^synology", "Synology"), (r"^qnap", "QNAP"),
    (r"^western digital", "Western Digital"), (r"^seagate", "Seagate"), (r"^drobo", "Drobo"),
    (r"^arcadyan", "Arcadyan"), (r"^askey", "Askey"), (r"^sercomm", "Sercomm"),
    (r"^gemtek", "Gemtek"), (r"^mitrastar", "MitraStar"), (r"^commscope", "CommScope"),
    (r"^ubee", "Ubee"), (r"^humax", "Humax"), (r"^kaon", "Kaon"), (r"^freebox", "Freebox"),
    (r"^vantiva", "Vantiva"), (r"^belkin", "Belkin"), (r"^tenda", "Tenda"),
    (r"^mercury|^shenzhen mercury", "Mercury"), (r"^fast$|^shenzhen fast tech", "Fast"),
    (r"^ring llc", "Ring"), (r"^eero\b", "eero"), (r"^arlo", "Arlo"), (r"^wyze", "Wyze"),
    (r"^reolink|reo-?link", "Reolink"), (r"hikvision", "Hikvision"), (r"\bdahua\b", "Dahua"),
    (r"ezviz", "EZVIZ"), (r"^axis comm", "Axis"), (r"^shelly|^allterco", "Shelly"),
    (r"^nuki", "Nuki"), (r"^netatmo", "Netatmo"), (r"^tado", "tado"), (r"^ecobee", "ecobee"),
    (r"^resideo|^honeywell", "Honeywell"), (r"^robert bosch|^bosch", "Bosch"),
    (r"^bsh hausger", "BSH"), (r"^miele", "Miele"), (r"^(gd )?midea", "Midea"),
    (r"^haier|^qingdao haier", "Haier"), (r"^gree elec", "Gree"), (r"^daikin", "Daikin"),
    (r"^mitsubishi", "Mitsubishi"), (r"^irobot", "iRobot"), (r"roborock", "Roborock"),
    (r"ecovacs", "Ecovacs"), (r"^dreame", "Dreame"), (r"^dyson", "Dyson"),
    (r"lumi united|^aqara", "Aqara"), (r"yeelight|^qingdao yeelink", "Yeelight"),
    (r"^ikea|^inter ikea", "IKEA"), (r"^tesla", "Tesla"), (r"^bmw|^bayerische motoren", "BMW"),
    (r"^sma solar", "SMA"), (r"^solaredge", "SolarEdge"), (r"^enphase", "Enphase"),
    (r"^fronius", "Fronius"), (r"^fitbit", "Fitbit"), (r"^garmin", "Garmin"), (r"^bose\b", "Bose"),
    (r"^harman", "Harman"), (r"^denon|^d&m hold|^sound united", "Denon (HEOS)"),
    (r"^yamaha", "Yamaha"), (r"^slim devices|^logitech", "Logitech"), (r"^tivo", "TiVo"),
    (r"^fortinet", "Fortinet"), (r"^palo alto net", "Palo Alto Networks"),
    (r"^extreme net", "Extreme"), (r"^brocade", "Brocade"), (r"^arista", "Arista"),
    (r"^super micro", "Supermicro"), (r"^giga-?byte", "Gigabyte"), (r"^micro-star|^msi\b", "MSI"),
    (r"^asrock", "ASRock"), (r"^elitegroup", "ECS"), (r"^acer\b", "Acer"), (r"^fujitsu", "Fujitsu"),
    (r"^nec\b", "NEC"), (r"^hitachi", "Hitachi"), (r"^siemens", "Siemens"),
    (r"^schneider", "Schneider Electric"), (r"^abb\b", "ABB"), (r"^rockwell", "Rockwell"),
    (r"^beckhoff", "Beckhoff"), (r"^wago", "WAGO"), (r"^ibm|^international business", "IBM"),
    (r"^nvidia", "NVIDIA"), (r"^mellanox", "Mellanox"), (r"^3com", "3Com"),
    (r"^u-blox|^u blox", "u-blox"), (r"^nordic semi", "Nordic"), (r"^silicon lab", "Silicon Labs"),
    (r"^microchip", "Microchip"), (r"^stmicro", "STMicroelectronics"), (r"^nxp", "NXP"),
    (r"^ampak", "AMPAK"), (r"^alps", "Alps Alpine"), (r"^bouffalo", "Bouffalo Lab"),
    (r"^telink", "Telink"), (r"^particle", "Particle"),
    (r"^blackberry|^research in motion", "BlackBerry"), (r"^htc\b", "HTC"),
    (r"^essential prod", "Essential"), (r"^fairphone", "Fairphone"),
    (r"^tecno mobile|^transsion|^itel mobile|^infinix", "Transsion"), (r"^meizu", "Meizu"),
    (r"^chongqing fugui", "Foxconn"), (r"^grandstream", "Grandstream"),
    (r"^yealink|xiamen yealink", "Yealink"), (r"^snom", "Snom"), (r"^polycom", "Polycom"),
    (r"^avaya", "Avaya"), (r"^mitel", "Mitel"), (r"^gigaset", "Gigaset"),
    (r"^alcatel|^alcatel-lucent", "Alcatel-Lucent"), (r"^ericsson", "Ericsson"),
    (r"^nortel", "Nortel"), (r"^calix", "Calix"), (r"^adtran", "Adtran"),
    (r"^actiontec", "Actiontec"), (r"^pace plc|^pace am", "Pace"), (r"^2wire", "2Wire"),
    (r"^hughes", "Hughes"), (r"^starlink|^space exploration|^spacex", "SpaceX"),
    (r"^digital equipment", "Digital Equipment"), (r"^sun micro", "Sun"),
    (r"^silicon graphics", "Silicon Graphics"), (r"^teltonika", "Teltonika"),
    (r"^gl tech|^gl\.inet", "GL.iNet"), (r"^turris|^cz\.nic", "CZ.NIC (Turris)"),
    (r"^lifi labs", "LIFX"), (r"^eq-3", "eQ-3 (Homematic)"), (r"chamberlain", "Chamberlain"),
    (r"^compex", "Compex"), (r"^pc engines", "PC Engines"), (r"^deciso", "Deciso"),
    (r"^sichuan ai-link", "AI-Link"),
)]
BRANDED = re.compile("|".join(f"(?:{pattern.pattern})" for pattern, _ in BRANDS))

LEGAL = set("""ab ag apl aps as asa bhd bv co coltd company corp corporate corporation cv doo eirl ek
    enterprises eood gesmbh gmbh group holding holdings inc incorporated int intl international jsc kft kg kk
    lda limited llc llp lp ltd ltda mbh nv ooo oy oyj pc pjsc plc private pt pte pty pvt ptyltd
    sa sarl sas sasu sdn sl slu snc sociedad sp spa spol spzoo srl sro ug usa zao zoo zrt dd a/s s/a ltd.,co
    and & de der und the of""".split())
GENERIC = set("""co communication communications computer computers corporation development devices device
    electronic electronics enterprise equipment industrial industries industry information instrument
    manufacturing mfg mobile network networking networks precision product products science sciences
    service services software solution solutions system systems tech technologies technology tecnologia
    telecom telecommunication telecommunications trading""".split()) | {"r&d"}
PLACES = set("""anhui beijing changsha chengdu china chongqing dongguan foshan fujian fuzhou guangdong
    guangxi guangzhou hangzhou hebei hefei henan hong hongkong hubei huizhou hunan jiangsu jiangxi jinan
    kong kunshan nanjing ningbo qingdao shandong shanghai shenyang shenzhen shenzhenshi sichuan suzhou
    taiwan tianjin wenzhou wuhan wuxi xiamen xi'an xian zhejiang zhengzhou zhongshan zhuhai city""".split())

# Words that name nobody when they stand alone.
VAGUE = set("""advanced advance alpha american applied asia asian auto automation best central century
    control controls data delta digital dynamic east eastern electric electrical electro energy euro
    european first future general global golden great green high home image innovative integrated
    intelligence intelligent interactive internet laser light link logic media medical micro modern
    multi national new next nippon north optical pacific power premier prime pro quality radio royal
    security sky smart space special standard star sun super sure systems telecom total ultra union
    united universal us video vision visual voice west western wireless world""".split())


@functools.cache
def short(registered):
    """The short name; empty for those who keep theirs to themselves."""
    text = unicodedata.normalize("NFKD", registered).encode("ascii", "ignore").decode()
    text = re.sub(r"\s+", " ", text).strip(" ,.;")
    lower = text.lower()
    if lower in ("private", "ieee registration authority", ""):
        return ""
    if BRANDED.search(lower):
        return next(name for pattern, name in BRANDS if pattern.search(lower))
    text = re.sub(r"\(.*?\)|\(.*$", " ", text)
    text = re.split(r",? (?:dba|d/b/a|aka|c/o|formerly|trading as|a division of|division of)\b|, an? ", text,
                    maxsplit=1, flags=re.I)[0]
    text = re.sub(r"\b([A-Za-z])\.(?=[A-Za-z]\b)", r"\1", text)  # S.A. is SA, S.p.A. SpA
    text = re.sub(r"[\",;:*]|\.(?=\s|$)|(?<=[a-z]{2})\.(?=[A-Z])", " ", text)
    words = [word.strip("'`-./") for word in text.split()]
    words = [word for word in words if word]
    while len(words) > 1 and words[-1].lower() in LEGAL:
        words.pop()
    while len(words) > 1 and words[0].lower() in PLACES and not all(w.lower() in GENERIC for w in words[1:]):
        words.pop(0)
    while len(words) > 1 and words[-1].lower() in GENERIC | LEGAL | PLACES and (
            len(words) > 2 or len(words[0]) > 2 and words[0].lower() not in PLACES | GENERIC | VAGUE):
        words.pop()
    words = [case(word) for word in words]
    name = ""
    for word in words:
        longer = f"{name} {word}".strip()
        if len(longer) > LONGEST:
            break
        name = longer
    return (name or words[0][:LONGEST] if words else "").strip(" &-")


def case(word):
    """Shouting is for abbreviations."""
    letters = re.sub(r"[^A-Za-z]", "", word)
    if len(letters) > 4 and letters.isupper() or letters.islower() and len(letters) > 4:
        return "-".join(part.capitalize() if len(part) > 2 else part for part in word.split("-"))
    return word
