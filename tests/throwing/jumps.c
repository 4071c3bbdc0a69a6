// setjmp and longjmp across calls.
#include <stdio.h>

// Of its own, since C libraries for WASI have none of these, or refuse them without exceptions.
typedef struct {
  unsigned id;
  void *environment;
  int value;
} jmp_buf[1];
int setjmp(jmp_buf buffer) __attribute__((returns_twice));
_Noreturn void longjmp(jmp_buf buffer, int value);

static jmp_buf outer, inner;

__attribute__((noinline)) static void deep(int depth, int value) {
  if (depth == 0) {
    if (value % 2)
      longjmp(outer, value);
    longjmp(inner, value);
  }
  deep(depth - 1, value);
  printf("never\n");
}

__attribute__((noinline)) static int middle(int value) {
  int caught = setjmp(inner);
  if (caught) {
    printf("inner %d\n", caught);
    return caught;
  }
  deep(10, value);
  return -1;
}

__attribute__((noinline)) static int first(int value) {
  if (setjmp(outer)) {
    printf("outer\n");
    return -value;
  }
  return middle(value);
}

int main(void) {
  int sum = 0;
  for (int value = 1; value < 6; value++)
    printf("%d\n", first(value));
  for (int value = 0; value < 10000; value++) {
    sum += value % 97;
  }
  printf("sum %d\n", sum);
  return 0;
}
