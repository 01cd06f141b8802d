import Glibc
import MeshCore
import MeshRuntime

/// The processes behind callers in plaintext, as far as this machine knows them: a caller from the same machine is found by the socket
/// at its end of the connection.
///
/// Confined to the control loop. Limits: `perSecond` searches, `maximumProcesses` of one caller, `maximumCallers`. A search reads the
/// kernel's table of connections and the open files of processes, some milliseconds; a process that it may not look into is told by
/// its user alone.
final class CallerProcesses {
  static let perSecond = 4
  static let maximumProcesses = 8
  static let maximumCallers = 256
  /// Open files that one search looks at.
  static let maximumFiles = 100_000

  struct Caller: Hashable, Sendable {
    var name: String
    var processID: Int32
    var user: UInt32
    /// Its parent, and so on.
    var ancestors: [Int32]
  }

  private(set) var found: [PlaintextLedger.Key: [Caller]] = [:]
  private let loop: Worker
  private var second = Instant(nanoseconds: 0)
  private var searches = 0

  init(loop: Worker) { self.loop = loop }

  func met(_ contact: PlaintextContact) {
    if loop.now - second >= .seconds(1) {
      second = loop.now
      searches = 0
    }
    guard searches < Self.perSecond else { return }
    searches += 1
    guard let caller = SocketOwner.find(contact.peer) else { return }
    var callers = found[contact.key] ?? []
    if found.count >= Self.maximumCallers, callers.isEmpty { return }
    // A program that is started again and again, as in a script, is one caller.
    callers.removeAll { $0.name == caller.name && $0.user == caller.user }
    callers.append(caller)
    found[contact.key] = callers.suffix(Self.maximumProcesses)
  }
}

/// Looks up whose socket is at the other end of a connection.
enum SocketOwner {
  static func find(_ address: SocketAddress) -> CallerProcesses.Caller? {
    guard let (inode, user) = socket(address) else { return nil }
    guard let process = owner(of: inode) else {
      return CallerProcesses.Caller(name: "", processID: 0, user: user, ancestors: [])
    }
    return CallerProcesses.Caller(
      name: name(of: process), processID: process, user: user, ancestors: ancestors(of: process))
  }

  // MARK: - The kernel's table of connections (proc(5), /proc/net/tcp)

  private static func socket(_ address: SocketAddress) -> (inode: Substring, user: UInt32)? {
    if address.isIPv4, let found = socket(hex(ipv4: address), in: "/proc/self/net/tcp") { return found }
    return socket(hex(ipv6: address), in: "/proc/self/net/tcp6")
  }

  private static func socket(_ local: String, in path: String) -> (inode: Substring, user: UInt32)? {
    guard let text = ProcFile.read(path) else { return nil }
    for line in text.split(separator: "\n").dropFirst() {
      let fields = line.split(separator: " ", omittingEmptySubsequences: true)
      guard fields.count > 9, fields[1] == local, fields[9] != "0", let user = UInt32(fields[7]) else { continue }
      return (fields[9], user)
    }
    return nil
  }

  /// Each four bytes stand in the machine's order, which is little-endian wherever this runs.
  private static func hex(ipv4 address: SocketAddress) -> String {
    "\(padded(UInt64(address.ipv4.byteSwapped), 8)):\(padded(UInt64(address.port), 4))"
  }

  private static func hex(ipv6 address: SocketAddress) -> String {
    let words = [address.high >> 32, address.high & 0xFFFF_FFFF, address.low >> 32, address.low & 0xFFFF_FFFF]
    let text = words.map { padded(UInt64(UInt32($0).byteSwapped), 8) }.joined()
    return "\(text):\(padded(UInt64(address.port), 4))"
  }

  private static func padded(_ number: UInt64, _ digits: Int) -> String {
    let text = String(number, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }

  // MARK: - Processes

  private static func owner(of inode: Substring) -> Int32? {
    let wanted = "socket:[\(inode)]"
    var files = 0
    for entry in ProcFile.list("/proc") {
      guard let process = Int32(entry) else { continue }
      for file in ProcFile.list("/proc/\(entry)/fd") {
        files += 1
        if files > CallerProcesses.maximumFiles { return nil }
        if ProcFile.link("/proc/\(entry)/fd/\(file)") == wanted { return process }
      }
    }
    return nil
  }

  private static func name(of process: Int32) -> String {
    let text = ProcFile.read("/proc/\(process)/comm") ?? ""
    return String(text.split(separator: "\n").first ?? "")
  }

  private static func ancestors(of process: Int32) -> [Int32] {
    var ancestors: [Int32] = []
    var next = process
    while ancestors.count < 16, let parent = parent(of: next), parent > 1 {
      ancestors.append(parent)
      next = parent
    }
    return ancestors
  }

  /// The fourth field; the second, the program's name, may hold anything but ends with the last bracket.
  private static func parent(of process: Int32) -> Int32? {
    guard let text = ProcFile.read("/proc/\(process)/stat"), let bracket = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: bracket)...].split(separator: " ")
    return fields.count > 1 ? Int32(fields[1]) : nil
  }
}

/// Files and directories of /proc, whose sizes are not known before they are read.
enum ProcFile {
  /// A machine with 100,000 connections has a table of 15 MB; past it a caller stays unknown.
  private static let maximumBytes = 16 << 20

  static func read(_ path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while bytes.count < maximumBytes {
      let count = Glibc.read(file, &chunk, chunk.count)
      if count < 0 { return nil }
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  static func list(_ path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names
  }

  static func link(_ path: String) -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { room in
      let count = readlink(path, room.baseAddress!, room.count)
      guard count > 0 else { return nil }
      return String(decoding: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[..<count]), as: UTF8.self)
    }
  }
}
