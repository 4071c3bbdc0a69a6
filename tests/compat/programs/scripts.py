"""A quick start of quickjs-rs: values, functions of Python, errors, modules, promises, limits."""

# mypy: ignore-errors

import asyncio
import posixpath

from quickjs_rs import Runtime

with Runtime() as runtime, runtime.new_context() as context:
    print(context.eval("1 + 2"))

    @context.function
    def greet(name: str) -> str:
        return f"hi {name}"

    print(context.eval("greet('world')"))
    print(context.eval("[1, 2, 3].map(x => x * x).reduce((a, b) => a + b)"))
    print(context.eval("let sum = 0; for (let i = 0; i < 100000; i++) sum += i; sum"))
    print(context.eval("({a: [1, 'x', null, 1.5, true]})"))
    for text in ("throw new Error('bad')", "syntax error here"):
        try:
            context.eval(text)
        except Exception as error:
            print(type(error).__name__, error)

SOURCES = {
    "@agent/config": "export const MAX_RETRIES = 3;",
    "@agent/utils": "export { slugify } from './strings.js';",
    "@agent/utils/strings.js": "export const slugify = s => s.toLowerCase().replace(/ /g, '-');",
    "util.ts": "export enum Mode { Loose = 2 }\nexport function twice(n: number): number { return n * Mode.Loose }",
}


def normalize(base: str, specifier: str) -> str:
    if not specifier.startswith("."):
        return specifier
    folder = base if "." not in posixpath.basename(base) else posixpath.dirname(base)
    return posixpath.normpath(posixpath.join(folder, specifier))


async def main() -> None:
    with Runtime() as runtime, runtime.new_context() as context:

        @context.function
        async def fetch() -> str:
            await asyncio.sleep(0.01)
            return "from python"

        print(await context.eval_async("await fetch()"))
    with Runtime() as runtime:
        runtime.set_module_loader(normalize=normalize, load=SOURCES.get)
        with runtime.new_context() as context:
            print(
                await context.eval_async(
                    'const { slugify } = await import("@agent/utils");'
                    'const { MAX_RETRIES } = await import("@agent/config");'
                    "slugify('Hello World') + '/' + MAX_RETRIES"
                )
            )
            print(await context.eval_async("const { twice } = await import('util.ts'); twice(21)"))


asyncio.run(main())
print("the end")
