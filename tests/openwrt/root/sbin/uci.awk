# Reads a file in UCI's syntax, prints it as commands that a shell can evaluate. Words are bare,
# in single or double quotes, or pieces of these side by side; a quoted one may go over lines;
# a backslash takes the next character as it is (not in single quotes); # begins a comment.
{ text = text $0 "\n" }

END {
    at = 1
    length_of = length(text)
    line = 1
    sections = 0
    print "package " quoted(package)
    while (at <= length_of) {
        words_of_line()
        if (count == 0) continue
        if (word[1] == "package" && count == 2) continue
        if (word[1] == "config" && (count == 2 || count == 3)) {
            sections++
            if (!plain(word[2]) || (count == 3 && !plain(word[3]))) bad("invalid name")
            print "config " quoted(word[2]) " " quoted(count == 3 ? word[3] : sprintf("cfg%02x", sections))
        } else if ((word[1] == "option" || word[1] == "list") && count == 3) {
            if (!sections || !plain(word[2])) bad("invalid option")
            print word[1] " " word[2] " " quoted(word[3])
        } else bad("invalid command")
    }
}

function words_of_line(   c, quote, open, value) {
    count = 0
    open = 0
    value = ""
    while (at <= length_of) {
        c = substr(text, at++, 1)
        if (quote == "'") {
            if (c == "'") quote = ""
            else value = value c
        } else if (quote == "\"") {
            if (c == "\"") quote = ""
            else {
                if (c == "\\") c = substr(text, at++, 1)
                value = value c
            }
        } else if (c == "'" || c == "\"") {
            quote = c
            open = 1
        } else if (c == "\\") {
            value = value substr(text, at++, 1)
            open = 1
        } else if (c == "#" && !open) {
            while (at <= length_of && substr(text, at, 1) != "\n") at++
        } else if (c == " " || c == "\t" || c == "\r") {
            if (open) word[++count] = value
            open = 0
            value = ""
        } else if (c == "\n" || c == ";") {
            if (c == "\n") line++
            break
        } else {
            value = value c
            open = 1
        }
    }
    if (quote != "") bad("unterminated quote")
    if (open) word[++count] = value
}

function plain(name) { return name ~ /^[A-Za-z0-9_-]+$/ }

function quoted(value) {
    gsub(/'/, "'\\''", value)
    return "'" value "'"
}

function bad(why) {
    printf "uci: Parse error (%s) at line %d, byte 0\n", why, line > "/dev/stderr"
    failed = 1
    exit 1
}
