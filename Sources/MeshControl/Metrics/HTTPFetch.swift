import Dispatch
import Glibc
package import MeshCore

/// A GET of a proxy's small local pages (`/ready`, `/metrics`, `/certs`): one request per connection, blocking calls on a
/// background queue. Bodies are limited to `maximumBytes`.
package enum HTTPFetch {
  package struct Response: Hashable, Sendable {
    package var status: Int
    package var body: [UInt8]

    package init(status: Int, body: [UInt8]) {
      self.status = status
      self.body = body
    }
  }

  package static let maximumBytes = 64 << 20

  package static func get(
    _ address: SocketAddress, path: String, timeout: TimeSpan = .seconds(3)
  ) async throws
    -> Response
  {
    try await fetch(address, path: path, head: "", method: "GET", timeout: timeout)
  }

  /// An empty POST that shows a token: how the admin port is told to change something.
  package static func post(
    _ address: SocketAddress, path: String, token: String, timeout: TimeSpan = .seconds(3)
  ) async throws -> Response {
    let head = "Authorization: Bearer \(token)\r\nContent-Length: 0\r\n"
    return try await fetch(address, path: path, head: head, method: "POST", timeout: timeout)
  }

  private static func fetch(
    _ address: SocketAddress, path: String, head: String, method: String, timeout: TimeSpan
  ) async throws -> Response {
    try await withCheckedThrowingContinuation { continuation in
      DispatchQueue.global().async {
        continuation.resume(
          with: Result { try exchange(address, path: path, head: head, method: method, timeout: timeout) })
      }
    }
  }

  /// Whether something accepts TCP connections there.
  package static func accepts(_ address: SocketAddress, timeout: TimeSpan = .seconds(1)) async -> Bool {
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async {
        let socket = try? connect(address, timeout: timeout)
        if let socket { close(socket) }
        continuation.resume(returning: socket != nil)
      }
    }
  }

  /// Whether a TCP port can be bound now.
  package static func isFree(_ address: SocketAddress) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var on: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    return withIPv4(address) { bind(descriptor, $0, $1) } == 0
  }

  // MARK: - Blocking

  private static func exchange(
    _ address: SocketAddress, path: String, head: String, method: String, timeout: TimeSpan
  ) throws -> Response {
    let socket = try connect(address, timeout: timeout)
    defer { close(socket) }
    let request =
      "\(method) \(path) HTTP/1.1\r\nHost: \(address)\r\nUser-Agent: apus\r\n\(head)Connection: close\r\n\r\n"
    var bytes = Array(request.utf8)
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeMutableBytes {
        send(socket, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw failure(address, errno) }
      sent += count
    }
    var answer: [UInt8] = []
    bytes = [UInt8](repeating: 0, count: 64 << 10)
    while answer.count < maximumBytes {
      let count = recv(socket, &bytes, bytes.count, 0)
      if count == 0 { break }
      guard count > 0 else {
        if errno == EINTR { continue }
        throw failure(address, errno)
      }
      answer += bytes[..<count]
    }
    guard let response = HTTPAnswer.parse(answer) else {
      throw HTTPFetchFailure(
        description: "\(address)\(path) did not answer with HTTP; see what listens there: ss -ltnp")
    }
    return response
  }

  private static func connect(_ address: SocketAddress, timeout: TimeSpan) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw failure(address, errno) }
    var limit = timeval(
      tv_sec: Int(timeout.nanoseconds / 1_000_000_000),
      tv_usec: Int(timeout.nanoseconds % 1_000_000_000 / 1000))
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    let result = withIPv4(address) { Glibc.connect(descriptor, $0, $1) }
    guard result == 0 else {
      let error = errno
      close(descriptor)
      throw failure(address, error)
    }
    return descriptor
  }

  private static func withIPv4<R>(_ address: SocketAddress, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    var raw = sockaddr_in()
    raw.sin_family = sa_family_t(AF_INET)
    raw.sin_port = address.port.bigEndian
    raw.sin_addr.s_addr = address.ipv4.bigEndian
    return withUnsafePointer(to: &raw) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
  }

  private static func failure(_ address: SocketAddress, _ error: Int32) -> HTTPFetchFailure {
    let reason = error == EAGAIN || error == EINPROGRESS ? "no answer in time" : String(cString: strerror(error))
    return HTTPFetchFailure(description: "\(address): \(reason)")
  }
}

/// Why there is no answer, for people.
package struct HTTPFetchFailure: Error, Hashable, CustomStringConvertible {
  package var description: String
}

/// Reads a whole HTTP/1 answer of a connection that was closed after it (RFC 9112, sections 6 and 7.1).
package enum HTTPAnswer {
  package static func parse(_ bytes: [UInt8]) -> HTTPFetch.Response? {
    guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
    let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
    guard let first = lines.first, first.hasPrefix("HTTP/1."), first.utf8.count >= 12,
      let status = Int(first.dropFirst(9).prefix(3))
    else { return nil }
    var body = Array(bytes[end.upperBound...])
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let name = line[..<colon].lowercased()
      let value = line[line.index(after: colon)...].drop { $0 == " " }.lowercased()
      if name == "transfer-encoding", value.contains("chunked") {
        guard let whole = dechunk(body) else { return nil }
        body = whole
      } else if name == "content-length", let length = Int(value) {
        guard body.count >= length else { return nil }
        body.removeLast(body.count - length)
      }
    }
    return HTTPFetch.Response(status: status, body: body)
  }

  private static func dechunk(_ bytes: [UInt8]) -> [UInt8]? {
    var out: [UInt8] = []
    var rest = bytes[...]
    while let line = rest.firstRange(of: Array("\r\n".utf8)) {
      let digits = rest[..<line.lowerBound].prefix { $0 != UInt8(ascii: ";") }
      guard let size = Int(String(decoding: digits, as: UTF8.self), radix: 16), size >= 0 else { return nil }
      rest = rest[line.upperBound...]
      if size == 0 { return out }
      guard rest.count >= size + 2 else { return nil }
      out += rest.prefix(size)
      rest = rest.dropFirst(size + 2)
    }
    return nil
  }
}
