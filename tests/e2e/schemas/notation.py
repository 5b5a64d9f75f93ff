"""JSON schemas in a short notation. A file has one object a paragraph: its name, a colon, and its fields `name=type`;
a field with * is required, and `...` lets others stand beside those that are named. Types:

    text int number bool null any    what they say
    'word'                           exactly this text
    ~pattern~                        text of this pattern
    Name                             the object of that name
    [type]  {type}                   a list, a mapping of texts to it
    <type type>                      a list of exactly these
    a|b    a?                        one or the other; the same or null

`schema(text, name)` gives the JSON schema of an object, which any validator takes.
"""
import re

SIMPLE = {"text": {"type": "string"}, "int": {"type": "integer"}, "number": {"type": "number"},
          "bool": {"type": "boolean"}, "null": {"type": "null"}, "any": {}}
TOKEN = re.compile(r"\s*('[^']*'|~[^~]*~|[A-Za-z_]\w*|[\[\]{}<>|?])")


class Reader:
    """Reads one type."""

    def __init__(self, text):
        self.tokens = TOKEN.findall(text)
        assert not TOKEN.sub("", text).strip(), f"no type: {text}"

    def take(self, wanted=None):
        token = self.tokens.pop(0)
        assert wanted in (None, token), f"{wanted} expected, not {token}"
        return token

    def next(self):
        return self.tokens[0] if self.tokens else None

    def type(self):
        found = [self.one()]
        while self.next() in ("|", "?"):
            found.append({"type": "null"} if self.take() == "?" else self.one())
        return found[0] if len(found) == 1 else {"anyOf": found}

    def one(self):
        token = self.take()
        if token == "[":
            made = {"type": "array", "items": self.type()}
            self.take("]")
        elif token == "{":
            made = {"type": "object", "additionalProperties": self.type()}
            self.take("}")
        elif token == "<":
            items = []
            while self.next() != ">":
                items.append(self.type())
            self.take(">")
            made = {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        elif token[0] == "'":
            made = {"const": token[1:-1]}
        elif token[0] == "~":
            made = {"type": "string", "pattern": token[1:-1]}
        else:
            made = SIMPLE.get(token) or ({} if token == "any" else {"$ref": "#/$defs/" + token})
        return made


def fields(text):
    """The words of a paragraph: a blank inside of brackets, a text or a pattern separates nothing."""
    return re.findall(r"(?:'[^']*'|~[^~]*~|<[^>]*>|[^\s'~<])+", text)


def definition(text):
    properties, required, closed = {}, [], True
    for word in fields(text):
        if word == "...":
            closed = False
            continue
        name, kind = word.split("=", 1)
        if name[0] == "*":
            name = name[1:]
            required.append(name)
        properties[name] = Reader(kind).type()
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": not closed}


def definitions(text):
    """Name -> JSON schema of all objects of a text."""
    found = {}
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = [line for line in paragraph.splitlines() if not line.startswith("#")]
        if lines:
            name, rest = "\n".join(lines).split(":", 1)
            found[name.strip()] = definition(rest)
    return found


def schema(text, name):
    """The JSON schema (draft 2020-12) of the object of a name."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": "#/$defs/" + name,
            "$defs": definitions(text)}
