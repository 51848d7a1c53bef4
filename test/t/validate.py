"""Validate documents, one JSON text a line, against a JSON Schema.

validate.py SCHEMA DOCUMENTS

Prints a line for everything that is wrong, and how much was looked at on
standard error. Wrong is: a schema that is not closed or does not describe a
property, a document that is not valid, a property that no document has, and
the first document, the fullest one, spoilt in some way and valid nevertheless.
"""
import copy
import json
import sys

from jsonschema import Draft202012Validator

# What may be left out for other reasons than a lack of privileges.
OPTIONAL = {'user', 'phone', 'settings', 'currentAccount', 'by',
            'created', 'updated', 'activated', 'blocked', 'deleted'}

failures = 0


def wrong(text):
    global failures
    failures += 1
    print(text[:500])


def objects(schema, path='contact'):
    """The subschemas that describe an object, with a name for each."""
    if isinstance(schema, list):
        for item in schema:
            yield from objects(item, path)
    elif isinstance(schema, dict):
        if schema.get('type') == 'object':
            yield path, schema
        for key, value in schema.items():
            # conditions restrict what is described elsewhere
            if key not in ('allOf', 'anyOf', 'if', 'then', 'else'):
                yield from objects(value, path + '.' + key)


def key_sets(value, name='contact'):
    """The keys of every object of a document, with the name of the object."""
    if isinstance(value, dict):
        yield name, set(value)
        for key, item in value.items():
            yield from key_sets(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from key_sets(item, name)


def places(value, path=()):
    """The path of every value in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else \
        enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, path + (key,))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def spoilt(document):
    """The document with one thing changed that the schema must refuse."""
    for path in places(document):
        value = at(document, path)
        if isinstance(value, dict):
            other = copy.deepcopy(document)
            at(other, path)['other'] = None
            yield path, 'with another key', other
        if not path:
            continue
        for name, replacement in (('a number', 1), ('an object', {'a': 1}), ('an array', [[]])):
            other = copy.deepcopy(document)
            at(other, path[:-1])[path[-1]] = replacement
            yield path, 'as ' + name, other
        if isinstance(path[-1], str) and path[-1] not in OPTIONAL:
            other = copy.deepcopy(document)
            del at(other, path[:-1])[path[-1]]
            yield path, 'left out', other
        if isinstance(value, str) and (path[-1] in ('status', 'type', 'at') or path[-1][-2:] in ('At', 'ed')):
            other = copy.deepcopy(document)
            at(other, path[:-1])[path[-1]] = value + ' '
            yield path, 'with a blank', other
    # omitted has to say what is left out, and nothing else
    for path in places(document):
        if path and path[-1] == 'omitted':
            for key in at(document, path[:-2]):
                other = copy.deepcopy(document)
                at(other, path).append(key)
                yield path, 'names ' + key, other


with open(sys.argv[1], encoding='utf-8') as file:
    schema = json.load(file)
with open(sys.argv[2], encoding='utf-8') as file:
    documents = [json.loads(line) for line in file]

Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)

described = set()
for name, subschema in objects(schema):
    if subschema.get('additionalProperties') is not False:
        wrong(name + ' is open')
    for key, value in subschema['properties'].items():
        described.add(key)
        if not value.get('description', '').endswith('.'):
            wrong(name + '.' + key + ' is not described')

for document in documents:
    for error in validator.iter_errors(document):
        wrong('not valid: ' + error.message + ' in ' + json.dumps(document))

# every property is in some document, and what is optional is not in another
seen = [key_set for document in documents for key_set in key_sets(document)]
for key in described:
    parents = {name for name, keys in seen if key in keys}
    if not parents:
        wrong('no document has ' + key)
    for parent in parents:
        if key in OPTIONAL and all(key in keys for name, keys in seen if name == parent):
            wrong('every ' + parent + ' has ' + key)

count = 0
for path, how, document in spoilt(documents[0]):
    count += 1
    if validator.is_valid(document):
        wrong('valid though ' + '.'.join(map(str, path)) + ' ' + how)

print(len(documents), 'documents,', count, 'spoilt ones', file=sys.stderr)
sys.exit(failures > 0)
