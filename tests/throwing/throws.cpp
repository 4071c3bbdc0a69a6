// Throws and catches what C++ programs do: values of several types, a class by its base, through destructors, from
// handlers, again, out of functions that were reached by pointers, and ten thousand times in a loop.
#include <stdio.h>

struct Failure {
  int code;
  explicit Failure(int code) : code(code) { living++; }
  Failure(const Failure &other) : code(other.code) { living++; }
  virtual ~Failure() { living--; }
  virtual const char *what() const { return "failure"; }
  static int living;
};
int Failure::living = 0;

struct Special : Failure {
  explicit Special(int code) : Failure(code) {}
  const char *what() const override { return "special failure"; }
};

struct Guard {
  const char *name;
  explicit Guard(const char *name) : name(name) {}
  ~Guard() { printf("  leaving %s\n", name); }
};

__attribute__((noinline)) int fails(int how) {
  Guard guard("fails");
  switch (how) {
  case 0:
    throw 42;
  case 1:
    throw 2.5;
  case 2:
    throw Failure(7);
  case 3:
    throw Special(8);
  case 4:
    throw "text";
  }
  return how;
}

__attribute__((noinline)) int middle(int how, double unused, long long more) {
  Guard guard("middle");
  int given = fails(how) + (int)more;
  return given + (int)unused;
}

__attribute__((noinline)) void tries(int how) {
  try {
    try {
      printf("returned %d\n", middle(how, 1.5, 1LL << 33));
    } catch (const char *text) {
      printf("text %s\n", text);
      throw 43;
    } catch (Special &special) {
      printf("inner %s %d\n", special.what(), special.code);
      throw;
    }
  } catch (int number) {
    printf("int %d\n", number);
  } catch (Failure &failure) {
    printf("%s %d\n", failure.what(), failure.code);
  } catch (...) {
    printf("something\n");
  }
}

int main(int argc, char **argv) {
  void (*volatile by_pointer)(int) = tries;
  for (int how = 0; how < 6; how++)
    by_pointer(how);
  int sum = 0;
  for (int turn = 0; turn < 10000; turn++) {
    try {
      if (turn % 3 == 0)
        throw turn;
      if (turn % 3 == 1)
        throw Special(turn);
      sum += 1;
    } catch (int number) {
      sum += number % 7;
    } catch (Failure &failure) {
      sum += failure.code % 5;
    }
  }
  printf("sum %d, living %d\n", sum, Failure::living);
  if (argc > 1)
    throw Failure(99);
  return 0;
}
