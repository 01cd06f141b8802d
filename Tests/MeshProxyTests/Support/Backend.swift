import Glibc
import MeshCore
import Synchronization

/// Runs `body` on a thread of its own: tests block, and must not block the threads that run tests.
func onThread(_ body: @escaping @Sendable () -> Void) {
  final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var thread = pthread_t()
  let box = Unmanaged.passRetained(Box(body)).toOpaque()
  pthread_create(
    &thread, nil,
    { argument in
      Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
      return nil
    }, box)
  pthread_detach(thread)
}

/// A server whose connections follow a script, each on its own thread.
final class Backend: Sendable {
  let port: UInt16
  private let descriptor: Int32
  private let accepted = Count()

  /// `script` gets each connection and its number, from 0. When it returns or throws, the connection is closed.
  init(receiveBuffer: Int32 = 0, _ script: @escaping @Sendable (Peer, Int) throws -> Void) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    if receiveBuffer > 0 {
      var size = receiveBuffer
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
    }
    _ = withLoopback(port: 0) { bind(descriptor, $0, $1) }
    listen(descriptor, 128)
    self.descriptor = descriptor
    port = boundPort(descriptor)
    onThread { [descriptor, accepted] in
      // Closed by who accepts: the number of a descriptor that `deinit` closed could by the next call of accept be that of another
      // test's listener, whose connection this one would take.
      defer { close(descriptor) }
      while true {
        let connection = uninterrupted { accept(descriptor, nil, nil) }
        guard connection >= 0 else { return }
        var one: Int32 = 1
        setsockopt(connection, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
        let number = accepted.next()
        onThread {
          let peer = Peer(descriptor: connection)
          try? script(peer, number)
          peer.close()
        }
      }
    }
  }

  /// Answers every request, on every connection, with what `answer` says.
  static func answering(_ answer: @escaping @Sendable (Message) -> String) -> Backend {
    Backend { peer, _ in
      while true { try peer.send(answer(try peer.message())) }
    }
  }

  /// Answers 200 with `name` as the body.
  static func named(_ name: String) -> Backend {
    answering { _ in "HTTP/1.1 200 OK\r\nContent-Length: \(name.utf8.count)\r\n\r\n\(name)" }
  }

  deinit { shutdown(descriptor, Int32(SHUT_RDWR)) }

  var connections: Int { accepted.value }
  var address: SocketAddress { .loopback(port: port) }
}

/// Counts from 0.
final class Count: Sendable {
  private let number = Mutex(0)
  var value: Int { number.withLock { $0 } }

  func next() -> Int {
    number.withLock { number in
      defer { number += 1 }
      return number
    }
  }
}

/// A value that another thread will bring.
final class Promise<T: Sendable>: Sendable {
  private let value = Mutex<T?>(nil)
  private let signal = Signal()

  func put(_ new: T) {
    value.withLock { $0 = new }
    signal.raise()
  }

  var hasValue: Bool { value.withLock { $0 != nil } }

  /// Throws when nothing comes within 40 seconds: machines may be busy.
  func get() throws -> T {
    guard signal.wait(), let value = value.withLock({ $0 }) else { throw SocketProblem(description: "no value came") }
    return value
  }
}

/// Something that happens once.
final class Signal: @unchecked Sendable {
  // A pipe: reading it has a time limit, which condition variables of the standard library have not.
  private var ends: [Int32] = [0, 0]

  init() { _ = pipe(&ends) }

  deinit {
    close(ends[0])
    close(ends[1])
  }

  func raise() {
    var byte: UInt8 = 1
    _ = write(ends[1], &byte, 1)
  }

  /// False when it does not happen within 40 seconds. Stays raised.
  @discardableResult
  func wait() -> Bool { waits(milliseconds: 40_000) }

  /// False when it does not happen in this time.
  func waits(milliseconds: Int32) -> Bool {
    var ready = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
    return uninterrupted { poll(&ready, 1, milliseconds) } == 1
  }
}
