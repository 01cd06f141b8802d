internal import CLinux
internal import COpenSSL
internal import Glibc

/// Bytes that nobody else may see: on OpenSSL's secure heap, wiped when they are let go.
///
/// Immutable once made, so it may be shared between threads.
package final class SecretBytes: @unchecked Sendable {
  // Unchecked because of the pointer: filled in init, wiped in deinit, only read in between.
  private let bytes: UnsafeMutableRawBufferPointer

  /// `fill` gets zeroed room and returns how much of it it used. Nil when that is negative, or out of memory.
  package init?(capacity: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Int) {
    guard let room = apus_secret_new(max(1, capacity)) else { return nil }
    let used = fill(UnsafeMutableRawBufferPointer(start: room, count: capacity))
    guard (0...capacity).contains(used) else {
      apus_secret_free(room, max(1, capacity))
      return nil
    }
    bytes = UnsafeMutableRawBufferPointer(start: room, count: used)
  }

  /// Of a file of at most 64 KiB. Nil when it cannot be read. Never waits: a pipe in the file's place has nothing to say.
  package convenience init?(file path: String) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    self.init(capacity: 64 * 1024) { room in
      var length = 0
      while length < room.count {
        let n = read(descriptor, room.baseAddress! + length, room.count - length)
        if n < 0 { return -1 }
        if n == 0 { return length }
        length += n
      }
      return -1
    }
  }

  deinit { apus_secret_free(bytes.baseAddress, bytes.count) }

  package var count: Int { bytes.count }

  func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { body(UnsafeRawBufferPointer(bytes)) }
}

/// How the memory that keys stand in is kept from others.
package enum KeyMemory: String, Sendable {
  /// Never in swap, never in a core file.
  case locked
  /// Not in a core file; the system let no more memory be locked (RLIMIT_MEMLOCK).
  case notLocked = "not locked"
  /// The ordinary heap.
  case unprotected

  /// Before the first key is made. `workers`: handshakes of so many loops keep their keys there.
  package static func prepare(workers: Int) -> KeyMemory {
    // Refused after OpenSSL's first allocation; then nothing is wiped that it does not wipe itself.
    CRYPTO_set_mem_functions(clinux_wiping_malloc, clinux_wiping_realloc, clinux_wiping_free)
    return switch apus_secure_heap_init(size(workers: workers)) {
    case 1: .locked
    case 2: .notLocked
    default: .unprotected
    }
  }

  /// Bytes, a power of two. All of it is resident, being locked. 256 KiB hold the key shares of some 2,500 handshakes, and a worker takes
  /// 256 at once (`HandshakeGate`); an established connection leaves nothing there (`TLSSession.finishHandshake`).
  package static func size(workers: Int) -> Int {
    var size = 1 << 18
    while size < workers << 17 { size <<= 1 }
    return size
  }

  /// Bytes of it that are taken now.
  package static var used: Int { apus_secure_heap_used() }

  /// Nobody but root may look into this process from now on, and a crash leaves no core file (RLIMIT_CORE, PR_SET_DUMPABLE).
  package static func forbidDumps() -> Bool { clinux_forbid_dumps() == 0 }
}
