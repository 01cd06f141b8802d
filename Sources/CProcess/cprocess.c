#define _GNU_SOURCE
#include "cprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(int descriptor) {
  int error = errno;
  ssize_t ignored = write(descriptor, &error, sizeof error);
  (void)ignored;
  _exit(127);
}

int cprocess_spawn(const char *path, char *const argv[], char *const envp[], int flags, int output, pid_t *pid) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return errno;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) {
    for (int signal = 1; signal < NSIG; signal++) {
      struct sigaction action;
      if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL) {
        action.sa_handler = SIG_DFL;
        action.sa_flags = 0;
        sigaction(signal, &action, NULL);
      }
    }
    // SIGPIPE is ignored by this tool, not by whoever started it.
    signal(SIGPIPE, SIG_DFL);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail(report[1]);
    if (getppid() != parent) _exit(127);  // the parent died before prctl
    if ((flags & CPROCESS_OWN_GROUP) && setpgid(0, 0) != 0) fail(report[1]);
    if (flags & CPROCESS_STDIN_NULL) {
      int null = open("/dev/null", O_RDONLY);
      if (null < 0 || dup2(null, 0) < 0) fail(report[1]);
      if (null > 2) close(null);
    }
    if (output >= 0 && (dup2(output, 1) < 0 || dup2(output, 2) < 0)) fail(report[1]);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(path, argv, envp);
    fail(report[1]);
  }
  int error = child < 0 ? errno : 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  close(report[1]);
  if (child > 0) {
    int reported = 0;
    ssize_t count;
    do count = read(report[0], &reported, sizeof reported);
    while (count < 0 && errno == EINTR);
    if (count == sizeof reported) {
      error = reported;
      while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    } else {
      *pid = child;
    }
  }
  close(report[0]);
  return error;
}

int cprocess_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC | O_NONBLOCK); }

static volatile int caught_descriptor = -1;

static void caught(int signal) {
  int saved = errno;
  unsigned char byte = (unsigned char)signal;
  ssize_t ignored = write(caught_descriptor, &byte, 1);
  (void)ignored;
  errno = saved;
}

int cprocess_catch(int signal, int descriptor) {
  struct sigaction action;
  if (sigaction(signal, NULL, &action) != 0) return -1;
  if (action.sa_handler == SIG_IGN && signal != SIGCHLD) return 1;
  caught_descriptor = descriptor;
  action.sa_handler = caught;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  return sigaction(signal, &action, NULL) == 0 ? 0 : -1;
}

pid_t cprocess_wait(pid_t pid, int *kind, int *value) {
  int status = 0;
  pid_t result;
  do result = waitpid(pid, &status, WNOHANG | WUNTRACED);
  while (result < 0 && errno == EINTR);
  if (result <= 0) return result;
  if (WIFEXITED(status)) {
    *kind = 0;
    *value = WEXITSTATUS(status);
  } else if (WIFSIGNALED(status)) {
    *kind = 1;
    *value = WTERMSIG(status);
  } else {
    *kind = 2;
    *value = WSTOPSIG(status);
  }
  return result;
}
