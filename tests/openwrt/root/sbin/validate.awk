# Says of which kind $VALUE is by the type $EXPRESSION: bool, number, string or invalid.
BEGIN {
    kind = check(ENVIRON["EXPRESSION"], ENVIRON["VALUE"])
    print kind == "" ? "invalid" : kind
}

function check(expression, value,   name, inside, open, arguments, count, i, kind, n) {
    if (expression ~ /^".*"$/) return value == substr(expression, 2, length(expression) - 2) ? "string" : ""
    if (expression ~ /^-?[0-9.]+$/) return value ~ /^-?[0-9.]+$/ && value + 0 == expression + 0 ? "number" : ""
    open = index(expression, "(")
    name = open ? substr(expression, 1, open - 1) : expression
    inside = open ? substr(expression, open + 1, length(expression) - open - 1) : ""
    if (name == "or" || name == "and" || name == "list" || name == "not") {
        # Arguments of the inner calls overwrite the array, so each is cut out when it is its turn.
        count = pieces(inside)
        kind = ""
        for (i = 1; i <= count; i++) {
            kind = check(piece(inside, i), value)
            if (name == "or" && kind != "") return kind
            if (name == "and" && kind == "") return ""
            if (name == "list") return kind
            if (name == "not") return kind == "" ? "string" : ""
        }
        return kind
    }
    split(inside, arguments, ",")
    if (name == "string") return "string"
    if (name == "bool") return value ~ /^(0|off|false|no|disabled|1|on|true|yes|enabled)$/ ? "bool" : ""
    if (name == "uciname") return value ~ /^[A-Za-z0-9_]+$/ ? "string" : ""
    if (name == "hostname") return value ~ /^[A-Za-z0-9_.-]+$/ && value !~ /^\.|\.\./ ? "string" : ""
    if (name == "minlength") return length(value) >= arguments[1] + 0 ? "string" : ""
    if (name == "maxlength") return length(value) <= arguments[1] + 0 ? "string" : ""
    if (name == "rangelength") return length(value) >= arguments[1] + 0 && length(value) <= arguments[2] + 0 ? "string" : ""
    if (name == "port") return value ~ /^[0-9]+$/ && value + 0 <= 65535 ? "number" : ""
    if (name ~ /^(range|min|max|integer|uinteger)$/) {
        if (value !~ /^[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)$/) return ""
        n = number(value)
        if (name == "range") return n >= arguments[1] + 0 && n <= arguments[2] + 0 ? "number" : ""
        if (name == "min") return n >= arguments[1] + 0 ? "number" : ""
        if (name == "max") return n <= arguments[1] + 0 ? "number" : ""
        return name == "integer" || n >= 0 ? "number" : ""
    }
    if (name == "ip4addr") return ip4(value) ? "string" : ""
    if (name == "ip6addr") return ip6(value) ? "string" : ""
    if (name == "ipaddr") return ip4(value) || ip6(value) ? "string" : ""
    if (name == "macaddr") return value ~ /^[0-9A-Fa-f][0-9A-Fa-f](:[0-9A-Fa-f][0-9A-Fa-f]){5}$/ ? "string" : ""
    if (name == "cidr") {
        n = split(value, arguments, "/")
        if (n > 2 || (n == 2 && arguments[2] !~ /^[0-9]+$/)) return ""
        if (ip4(arguments[1])) return n < 2 || arguments[2] + 0 <= 32 ? "string" : ""
        return ip6(arguments[1]) && (n < 2 || arguments[2] + 0 <= 128) ? "string" : ""
    }
    print "Syntax error, unrecognized function " name > "/dev/stderr"
    exit 1
}

# As strtol with any base: 0x for hexadecimal, 0 for octal.
function number(text,   sign, base, i, n) {
    sign = 1
    if (text ~ /^[+-]/) {
        if (substr(text, 1, 1) == "-") sign = -1
        text = substr(text, 2)
    }
    base = 10
    if (text ~ /^0[xX]/) { base = 16; text = tolower(substr(text, 3)) }
    else if (text ~ /^0./) base = 8
    n = 0
    for (i = 1; i <= length(text); i++) n = n * base + index("0123456789abcdef", substr(text, i, 1)) - 1
    return sign * n
}

function pieces(text,   i, c, depth, count) {
    count = 1
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "(") depth++
        if (c == ")") depth--
        if (c == "," && !depth) count++
    }
    return count
}

function piece(text, wanted,   i, c, depth, count, out) {
    count = 1
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "(") depth++
        if (c == ")") depth--
        if (c == "," && !depth) count++
        else if (count == wanted) out = out c
    }
    return out
}

function ip4(text,   part, i) {
    if (text !~ /^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$/) return 0
    split(text, part, ".")
    for (i = 1; i <= 4; i++) if (part[i] + 0 > 255) return 0
    return 1
}

function ip6(text,   part, i, n, gaps) {
    if (text !~ /^[0-9a-fA-F:.]+$/ || text !~ /:/ || text ~ /:::/) return 0
    n = split(text, part, ":")
    gaps = gsub(/::/, "", text)
    if (gaps > 1 || n > 8 + (gaps ? 1 : 0) || (!gaps && n != 8)) return 0
    for (i = 1; i <= n; i++) if (length(part[i]) > 4 && !ip4(part[i])) return 0
    return 1
}
