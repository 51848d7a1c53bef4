"""Compare the exchanges that the tests of nginx saw with an OpenAPI document.

described.py OPENAPI EXCHANGES [all]

EXCHANGES has a JSON object a line: method, path, request, status, headers and
body. Prints a line for everything that is wrong: an answer whose status, headers,
content type or body is not as described; with "all" also a response that no
exchange has, and an example that is no body of one.
"""
import json
import re
import sys
from pathlib import Path
from urllib.parse import urljoin

import yaml
from jsonschema import Draft202012Validator, RefResolver

BASE = '/public/v1/notifications'

base = Path(sys.argv[1]).resolve().as_uri()
with open(sys.argv[1], encoding='utf-8') as file:
    api = yaml.safe_load(file)
resolver = RefResolver(base, api)
# the statuses that are described one by one
EXACT = {key for item in api['paths'].values() for method, operation in item.items() if method != 'parameters'
         for key in operation['responses'] if key.isdigit()}
# where each exchange is described, and what was said there
seen = {}


def resolved(value):
    """What a value or the $ref in its place means, and the name of that."""
    if '$ref' in value:
        return value['$ref'], resolver.resolve(urljoin(base, value['$ref']))[1]
    return None, value


def invalid(schema, value):
    """What is wrong with a value."""
    return [error.message for error in Draft202012Validator(schema, resolver=resolver).iter_errors(value)]


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def path_item(path):
    """What is described at a path as it was sent: operations with their templates.

    A template without parameters comes before one with them.
    """
    operations = {}
    for template, item in sorted(api['paths'].items(), key=lambda pair: '{' not in pair[0]):
        if re.fullmatch(BASE + re.sub('{.*?}', '[^/?#]+', template) + r'(\?.*)?', path or ''):
            operations.update({method: (template, operation) for method, operation in item.items()
                               if method != 'parameters'})
    return operations


def faults(exchange):
    """What is not as described in an exchange."""
    operations = path_item(exchange['path'])
    method = exchange['method'].lower()
    status = exchange['status']
    if method not in operations:
        # not described: a path or a method that is not there, or no HTTP
        if exchange['method'] == 'OPTIONS' and status == '204':
            return
        name, response = '', {'content': {'application/problem+json': {'schema': {
            '$ref': '#/components/schemas/Problem'}}}}
        if status not in ('400', '404', '405'):
            yield 'status'
        if status == '405' and operations:
            if set(exchange['headers'].get('allow', '').split(', ')) != {key.upper() for key in operations}:
                yield 'Allow'
    else:
        template, operation = operations[method]
        responses = operation['responses']
        key = status if status in responses else status[0] + 'XX'
        # 4XX is for what has no response of its own, where others have one
        if key not in responses or key != status and status in EXACT and EXACT & set(responses) - {'200', '304'}:
            yield 'status'
            return
        name, response = resolved(responses[key])
        name = name or f'{template} {method} {key}'
    seen.setdefault(name, []).append(exchange)

    for header, value in response.get('headers', {}).items():
        value = resolved(value)[1]
        got = exchange['headers'].get(header.lower())
        if got is None and value.get('required'):
            yield header + ' is missing'
        elif got is not None:
            yield from invalid(value['schema'], got)

    content = response.get('content')
    if exchange['method'] == 'HEAD' or not content:
        if exchange['body']:
            yield 'a body'
        return
    kind = exchange['headers'].get('content-type')
    if kind not in content:
        yield f'content type {kind}'
        return
    if not exchange['body'].endswith('\n'):
        yield 'no newline at the end'
    yield from invalid(content[kind]['schema'], parsed(exchange['body']))


def missing():
    """Responses that were not seen, and examples that none of them is."""
    for template, item in api['paths'].items():
        for method, operation in item.items():
            if method == 'parameters':
                continue
            for key, value in operation['responses'].items():
                name, response = resolved(value)
                name = name or f'{template} {method} {key}'
                exchanges = seen.get(name, [])
                if not exchanges:
                    yield f'{name}: never seen'
                bodies = [parsed(exchange['body']) for exchange in exchanges]
                for media in response.get('content', {}).values():
                    for example, said in media.get('examples', {}).items():
                        if said['value'] not in bodies:
                            yield f'{name}: example {example} was never an answer'
            bodies = [parsed(exchange['request']) for name, exchanges in seen.items()
                      for exchange in exchanges if name.startswith(f'{template} {method} 2')]
            for media in operation.get('requestBody', {}).get('content', {}).values():
                for example, said in media['examples'].items():
                    if said['value'] not in bodies:
                        yield f'{template} {method}: example {example} was never sent'


with open(sys.argv[2], encoding='latin-1') as file:
    for line in file:
        exchange = json.loads(line)
        for key in ('body', 'request'):
            exchange[key] = (exchange[key] or '').encode('latin-1').decode('utf-8', 'replace')
        for fault in faults(exchange):
            print('%(method)s %(path).80s %(status)s: ' % exchange + fault[:200])
if 'all' in sys.argv[3:]:
    for line in dict.fromkeys(missing()):
        print(line)
