"""Bad files of any size: a name, and what makes one of about `size` characters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Shape = Callable[[int], str]


def _repeated(unit: str, front: str = "", behind: str = "") -> Shape:
    def make(size: int) -> str:
        return front + unit * (size // len(unit)) + behind

    return make


def _nested(opening: str, closing: str, middle: str, front: str = "", behind: str = ";") -> Shape:
    def make(size: int) -> str:
        count = size // (len(opening) + len(closing))
        return front + opening * count + middle + closing * count + behind

    return make


def _chain(step: str, operator: str = " ~> ") -> Shape:
    def make(size: int) -> str:
        count = size // (len(step) + len(operator) + 5)
        return operator.join(step.replace("#", str(number)) for number in range(count)) + ";"

    return make


SHAPES: Mapping[str, Shape] = {
    "statements on one line": _repeated("SELECT 1; "),
    "statements on many lines": _repeated("SELECT 1;\n"),
    "workflows on one line": _repeated("'SELECT 1'; "),
    "broken workflows on one line": _repeated("'SELCT 1'; "),
    "broken workflows on many lines": _repeated("'SELCT 1';\n"),
    "broken server statements on one line": _repeated("CREATE TABEL x; "),
    "broken steps of one workflow": _chain("'SELCT #'"),
    "broken steps of one workflow on lines": _chain("'SELCT #'", "\n~> "),
    "steps with a variable and a fault": _chain("'SELECT {a} FROM FROM #'"),
    "the same step name": _chain("df.step('a', 'SELECT #')"),
    "unknown references": _chain("'SELECT $nobody#'"),
    "unknown references in one step": _repeated("$nobody, ", "'SELECT ", "1';"),
    "unknown functions": _chain("df.stepp('a#', 'SELECT 1')"),
    "unknown function of many arguments": _repeated("'SELECT 1', ", "df.sequence(", "'SELECT 1');"),
    "misspelt names": _chain("df.step('name#', 'SELECT $name', on_eror => 'fail')"),
    "steps that all conflict": _chain("'UPDATE t SET a = #'", " & "),
    "many names read": _chain("df.step('s#', 'SELECT $s0?')"),
    "mixed operators": _chain("'SELECT #' & 'SELECT 2' |=> 'SELECT 3'"),
    "one long word": _repeated("x"),
    "one long number": _repeated("1"),
    "one long operator": _repeated("~>"),
    "one long operator of plus and minus": _repeated("+-"),
    "one long string": _repeated("x", "'SELECT ''", "'''"),
    "one long quoted name": _repeated("x", "'SELECT \"", "\"'"),
    "quotes": _repeated("'"),
    "quotes and line breaks": _repeated("'\n"),
    "double quotes": _repeated('"'),
    "dollars": _repeated("$"),
    "tags of dollar quotes": _repeated("$a$ $b$ "),
    "dollar quotes that never end": _chain("$t#$ x", " "),
    "comment openings": _repeated("/*"),
    "comments in comments": _nested("/*", "*/", "x", "'SELECT 1' "),
    "line comments": _repeated("-- x\n", behind="'SELECT 1'"),
    "parentheses": _nested("(", ")", "'SELECT 1'"),
    "opening parentheses": _repeated("("),
    "closing parentheses": _repeated(")"),
    "brackets": _nested("[", "]", "1"),
    "opening brackets of both kinds": _repeated("(["),
    "nested calls": _nested("df.step('a', ", ")", "'SELECT 1'"),
    "nested calls that never end": _repeated("df.seq('SELECT 1', "),
    "commas": _repeated(",", "df.seq(", ");"),
    "semicolons": _repeated(";"),
    "dots": _repeated(".", "df"),
    "casts": _repeated("::text", "'SELECT 1'"),
    "minus signs": _repeated("- ", "df.sleep(", "1);"),
    "prefix loops": _repeated("@> ", "", "'SELECT 1';"),
    "joined strings": _repeated("'a' || ", "", "'b';"),
    "array of texts": _repeated("'SELECT 1', ", "df.seq(VARIADIC ARRAY[", "'SELECT 1']);"),
    "JSON in JSON": _nested("[", "]", "1", "df.call('a', '", "');"),
    "JSON builders": _nested("jsonb_build_array(", ")", "1", "df.call('a', ", ");"),
    "psql commands": _repeated("\\d x\n"),
    "copies": _repeated("COPY a FROM STDIN;\n1\n\\.\n"),
    "copies without an end": _repeated("COPY a FROM STDIN;\n1\n"),
    "functions without an end": _repeated("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;\n"),
    "NUL characters": _repeated("\0"),
    "NUL characters in statements": _repeated("SELECT \0;\n"),
    "control characters": _repeated("\x01\x1b[31m\x07 "),
    "byte order marks": _repeated("\ufeff"),
    "byte order marks before a workflow": lambda size: "\ufeff" * min(size, 2) + "'SELECT 1';",
    "carriage returns": _repeated("'SELECT 1';\r\n"),
    "lone carriage returns": _repeated("'SELECT 1';\r"),
    "line separators": _repeated("'SELECT 1';\u2028"),
    "letters of all planes": _repeated("é日😀"),
    "combining characters": _repeated("e\u0301", "'SELECT ", "';"),
    "right to left": _repeated("\u202e'SELECT 1';\n"),
    "silenced lints": _repeated("-- dfc: disable=DF203 x\n'SELECT 1';\n"),
    "backslashes": _repeated("\\", "E'", "';"),
    "escapes": _repeated("\\u00e9", "E'SELECT ''", "''';"),
    "bad escapes": _repeated("\\u00", "E'", "';"),
    "unicode escapes": _repeated("\\00e9", "U&'SELECT ''", "''';"),
    "terms in SQL": _repeated("+1", "'SELECT 1", "';"),
    "parentheses in SQL": _nested("(", ")", "1", "'SELECT ", "';"),
    "conditions in SQL": _repeated(" AND a OR b", "'SELECT a", "';"),
    "rows in SQL": _repeated("(1, 'x'), ", "$$INSERT INTO t VALUES ", "(1, 'x')$$;"),
    "sub-queries in SQL": _nested("(SELECT ", ")", "1", "'SELECT ", "';"),
    "common tables in SQL": _repeated("x AS (SELECT 1), ", "'WITH ", "y AS (SELECT 1) SELECT 1';"),
    "joins in SQL": _repeated(" JOIN b ON true", "'SELECT 1 FROM a", "';"),
    "statements in SQL": _repeated("SELECT 1; ", "'", "';"),
    "commas in SQL": _repeated(",", "'SELECT 1", "';"),
    "places in a utility statement": _repeated("$a, ", "df.step('a', 'SELECT 1') ~> 'VACUUM ", "$a';"),
    "literals with references": _repeated("''$a $b'', ", "df.step('a', 'SELECT 1') ~> 'SELECT ", "1';"),
    "subscripts in SQL": _repeated("[1]", "'SELECT a", "';"),
    "parameters in SQL": _repeated("$1, ", "'SELECT ", "1';"),
    "HTTP in SQL": _repeated("df.http(''x''), ", "'SELECT ", "1';"),
    "long URL": _repeated("a", "df.http('https://example.org/", "');"),
    "long JSON body": _repeated('"$a", ', "df.step('a', 'SELECT 1') ~> df.http('https://example.org/', 'POST', '[", "1]');"),
    "long cron": _repeated("1,", "df.wait_for_schedule('", "1 * * * *');"),
    "long duration": _repeated("1 day ", "df.sleep('", "');"),
    "long timestamp": _repeated("1", "df.wait_until('", "');"),
    "long label": _repeated("x", "SELECT df.start('SELECT 1', '", "');"),
    "maps in maps": _nested("df.map('$item', ", ")", "'SELECT $item'"),
    "ifs in ifs": _nested("('SELECT true' ?> ", ")", "'SELECT 1'"),
    "else behind else": _repeated(" !> 'SELECT 1'", "'SELECT 1' ?> 'SELECT 2'", ";"),
    "server statement that never ends": _repeated("(1), ", "INSERT INTO t VALUES "),
    "comments in a server statement": _nested("/*", "*/", "x", "SELECT 1 FROM FROM ", ";"),
}  # fmt: skip
