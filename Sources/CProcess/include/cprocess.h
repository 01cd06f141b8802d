// Starting programs and hearing of signals: the two things Swift cannot do itself, because only
// async-signal-safe calls may run between fork and exec and inside a signal handler.
#ifndef CPROCESS_H
#define CPROCESS_H

#include <sys/types.h>

#define CPROCESS_OWN_GROUP 1     // the program leads a process group of its own
#define CPROCESS_STDIN_NULL 2    // standard input is /dev/null

// Starts `path` (no PATH search). The program gets SIGKILL when the calling *thread* ends (PR_SET_PDEATHSIG), so call
// it from a thread that lives as long as the process. `output` is the descriptor that becomes standard output and
// error, or -1 to inherit both. Signal mask and caught dispositions are reset; ignored signals stay ignored, as exec does.
// Returns 0 and the pid, or the errno of whatever failed, the exec included.
int cprocess_spawn(const char *path, char *const argv[], char *const envp[], int flags, int output, pid_t *pid);

// A pipe, close-on-exec and non-blocking at both ends: {read, write}. 0, or -1 with errno.
int cprocess_pipe(int ends[2]);

// Makes each arrival of `signal` write its number as one byte to `descriptor` (the same for all signals, non-blocking).
// A signal that is ignored on entry (nohup) stays ignored; returns 1 then, 0 when installed, -1 on error.
int cprocess_catch(int signal, int descriptor);

// Decoded wait status: kind 0 = exited (value = code), 1 = killed (value = signal), 2 = stopped (value = signal).
// Returns waitpid's result: the pid, 0 for nothing yet, -1 for no such child.
pid_t cprocess_wait(pid_t pid, int *kind, int *value);

#endif
