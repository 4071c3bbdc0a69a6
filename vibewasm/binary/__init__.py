"""The binary format: from the bytes of a module to a :class:`~vibewasm.binary.module_info.ModuleInfo`.

Function bodies are located here and read by the compiler; everything else is decoded and validated.
"""
