// What clang calls for setjmp and longjmp: in version 14 (the first four functions), and in newer ones.
#include <stdint.h>
#include <stdlib.h>

#ifdef DEFINE_TAGS // newer compilers leave that to the library
__asm__(".globl __c_longjmp\n"
        ".tagtype __c_longjmp i32\n"
        "__c_longjmp:\n");
#endif

struct entry {
  uint32_t id;
  uint32_t label;
};
static uint32_t next_id;
static int high_word;
void setTempRet0(int value) { high_word = value; }
int getTempRet0(void) { return high_word; }

// What a function that calls setjmp keeps: which buffers it has set, and where it goes on for each. It ends with a 0.
struct entry *saveSetjmp(uint32_t *buffer, uint32_t label, struct entry *table, uint32_t size) {
  uint32_t at = 0;
  *buffer = ++next_id;
  while (at < size && table[at].id)
    at++;
  if (at + 1 >= size) {
    size = 2 * (size + 1);
    table = realloc(table, (size + 1) * sizeof(struct entry));
  }
  table[at].id = next_id;
  table[at].label = label;
  table[at + 1].id = 0;
  setTempRet0(size);
  return table;
}

uint32_t testSetjmp(uint32_t id, struct entry *table, uint32_t size) {
  for (uint32_t at = 0; at < size && table[at].id; at++)
    if (table[at].id == id)
      return table[at].label;
  return 0;
}

struct jump {
  void *environment;
  int value;
};
static struct jump under_way;

_Noreturn void __wasm_longjmp(void *environment, int value) {
  under_way.environment = environment;
  under_way.value = value ? value : 1;
  __builtin_wasm_throw(1, &under_way);
}

// Newer compilers name a call of a function by an address in its frame.
struct buffer {
  void *invocation;
  uint32_t label;
};
void __wasm_setjmp(struct buffer *buffer, uint32_t label, void *invocation) {
  buffer->invocation = invocation;
  buffer->label = label;
}
uint32_t __wasm_setjmp_test(struct buffer *buffer, void *invocation) {
  return buffer->invocation == invocation ? buffer->label : 0;
}
