"""All mutations, and how often each is drawn."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.fuzz import mutate_code, mutate_functions, mutate_sections
from tests.fuzz.mutant import Mutant

# Mutations by weight. The names are those of the report.
WEIGHTS: dict[Callable[[Mutant], bool], int] = {
    mutate_code.change_immediate: 8,
    mutate_code.change_opcode_of_same_type: 8,
    mutate_code.change_opcode: 4,
    mutate_code.delete_instructions: 3,
    mutate_code.swap_instructions: 3,
    mutate_code.copy_instructions: 5,
    mutate_code.splice_instructions: 5,
    mutate_code.insert_neutral: 6,
    mutate_code.insert_exit: 6,
    mutate_code.wrap_in_block: 5,
    mutate_code.change_call: 2,
    mutate_code.pad_numbers: 3,
    mutate_functions.swap_bodies: 2,
    mutate_functions.transplant_function: 7,
    mutate_functions.change_locals: 4,
    mutate_functions.change_function_type: 2,
    mutate_functions.truncate_body: 5,
    mutate_functions.cut_again: 1,
    mutate_sections.remove_section: 1,
    mutate_sections.duplicate_section: 1,
    mutate_sections.move_section: 1,
    mutate_sections.splice_section: 2,
    mutate_sections.change_items: 4,
    mutate_sections.wrong_count: 1,
    mutate_sections.change_bytes: 4,
    mutate_sections.change_bytes_of_body: 6,
    mutate_sections.change_bytes_of_item: 4,
    mutate_sections.change_limits: 1,
    mutate_sections.add_custom_section: 1,
    mutate_sections.change_elements: 2,
    mutate_sections.change_import: 1,
}
WHOLE: list[Callable[[bytes, Random], bytes]] = [
    mutate_sections.truncate_module,
    mutate_sections.change_any_byte,
    mutate_sections.append_bytes,
]
