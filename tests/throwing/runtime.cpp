// As much of a C++ runtime as programs need that throw and catch, for clang's WebAssembly exceptions: its own ABI
// ("WebAssembly EH" in LLVM's sources: what a landing pad is told by, and what it asks) and the common one for C++
// ("Itanium C++ ABI: Exception Handling"). One thread, no exception specifications, types compared by their names.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef DEFINE_TAGS // newer compilers leave that to the library
asm(".globl __cpp_exception\n"
    ".tagtype __cpp_exception i32\n"
    "__cpp_exception:\n");
#endif

namespace std {
// The layout that the compiler gives to what it emits for `typeid`.
class type_info {
public:
  virtual ~type_info();
  const char *name;
};
type_info::~type_info() {}
} // namespace std

namespace __cxxabiv1 {
#define KIND(name)                                                                                                     \
  struct name : std::type_info {                                                                                       \
    ~name() override;                                                                                                  \
  };                                                                                                                   \
  name::~name() {}
KIND(__fundamental_type_info)
KIND(__pointer_type_info)
KIND(__class_type_info)
struct __si_class_type_info : __class_type_info {
  ~__si_class_type_info() override;
  const __class_type_info *base;
};
__si_class_type_info::~__si_class_type_info() {}
} // namespace __cxxabiv1

namespace {
// Before each thrown object.
struct Header {
  const std::type_info *type;
  void *(*destroy)(void *); // destructors give what they were given
  Header *below; // of those that are caught and not done with
  int handlers;
  bool rethrown;
  char padding[8 - 5];
  void *object() { return this + 1; }
};
Header *caught;

struct LandingPad {
  size_t index;
  const uint8_t *table;
  size_t selector;
};

size_t read(const uint8_t *&at) {
  size_t value = 0, shift = 0;
  uint8_t byte;
  do {
    byte = *at++;
    value |= size_t(byte & 0x7f) << shift;
    shift += 7;
  } while (byte & 0x80);
  return value;
}

int read_signed(const uint8_t *&at) {
  const uint8_t *start = at;
  int value = int(read(at));
  int bits = 7 * int(at - start);
  return bits < 32 && value >> (bits - 1) ? value - (1 << bits) : value;
}

bool catches(const std::type_info *wanted, const std::type_info *thrown) {
  // A class whose base is what is wanted: its type's name begins with a digit or N, and so does the base's.
  for (;;) {
    if (strcmp(wanted->name, thrown->name) == 0)
      return true;
    char kind = thrown->name[0];
    if (thrown->name[1] == 0 || kind == 'P')
      return false;
    const auto *derived = dynamic_cast<const __cxxabiv1::__si_class_type_info *>(thrown);
    if (derived == nullptr)
      return false;
    thrown = derived->base;
  }
}
} // namespace

extern "C" {
LandingPad __wasm_lpad_context;

void *__dynamic_cast(const void *object, const std::type_info *, const std::type_info *to, ptrdiff_t) {
  // Asked above only, of type_info objects: those of classes with one base have their own table of functions.
  extern void *single __asm__("_ZTVN10__cxxabiv120__si_class_type_infoE");
  return *(void ***)object == &single + 2 ? (void *)object : nullptr;
}

void *__cxa_allocate_exception(size_t size) {
  Header *made = (Header *)calloc(1, sizeof(Header) + size);
  return made->object();
}
void __cxa_free_exception(void *object) { free((Header *)object - 1); }

[[noreturn]] void __cxa_throw(void *object, std::type_info *type, void *(*destroy)(void *)) {
  Header *header = (Header *)object - 1;
  header->type = type;
  header->destroy = destroy;
  __builtin_wasm_throw(0, header);
}

void *__cxa_get_exception_ptr(void *header) { return ((Header *)header)->object(); }

void *__cxa_begin_catch(void *thrown) {
  Header *header = (Header *)thrown;
  header->handlers++;
  header->rethrown = false;
  if (header != caught) {
    header->below = caught;
    caught = header;
  }
  // Of a pointer, what it points to.
  return header->type->name[0] == 'P' ? *(void **)header->object() : header->object();
}

void __cxa_end_catch() {
  Header *header = caught;
  if (--header->handlers == 0) {
    caught = header->below;
    if (!header->rethrown) {
      if (header->destroy)
        header->destroy(header->object());
      free(header);
    }
  }
}

[[noreturn]] void __cxa_rethrow() {
  caught->rethrown = true;
  __builtin_wasm_throw(0, caught);
}

int _Unwind_CallPersonality(void *thrown) {
  const std::type_info *type = ((Header *)thrown)->type;
  const uint8_t *at = __wasm_lpad_context.table;
  __wasm_lpad_context.selector = 0;
  at++; // encoding of the start of landing pads: none
  uint8_t encoding = *at++;
  const uint8_t *types = nullptr;
  if (encoding != 0xff) {
    size_t size = read(at);
    types = at + size;
  }
  at++; // encoding of call sites
  size_t size = read(at);
  const uint8_t *actions = at + size;
  for (size_t index = 0;; index++) {
    read(at); // the landing pad's number
    size_t first = read(at);
    if (index < __wasm_lpad_context.index)
      continue;
    if (first == 0)
      return 0; // for clean-up only
    const uint8_t *action = actions + first - 1;
    for (;;) {
      int filter = read_signed(action);
      const uint8_t *next = action;
      int distance = read_signed(next);
      if (filter > 0) {
        auto *wanted = ((const std::type_info *const *)types)[-filter];
        if (wanted == nullptr || catches(wanted, type)) {
          __wasm_lpad_context.selector = filter;
          return 0;
        }
      }
      if (distance == 0)
        return 0;
      action += distance;
    }
  }
}
void *__gxx_wasm_personality_v0;

[[noreturn]] void _ZSt9terminatev() { __builtin_trap(); }
[[noreturn]] void __cxa_pure_virtual() { __builtin_trap(); }
int __cxa_atexit(void *(*)(void *), void *, void *) { return 0; }
}

void operator delete(void *object) noexcept { free(object); }
void operator delete(void *object, size_t) noexcept { free(object); }
void *operator new(size_t size) { return malloc(size); }
