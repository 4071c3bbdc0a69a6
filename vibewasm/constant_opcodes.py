"""Opcodes of the constant instructions but arithmetic: what a start needs without the whole table of :mod:`.opcodes`,
whose rows take their numbers from here.
"""

GLOBAL_GET = 0x23
I32_CONST = 0x41
I64_CONST = 0x42
F32_CONST = 0x43
F64_CONST = 0x44
REF_NULL = 0xD0
REF_FUNC = 0xD2
V128_CONST = 0xFD << 32 | 0x0C
