import MeshCore

/// The head of one HTTP request or response, the same for HTTP/1 and HTTP/2.
///
/// Names and values are ranges into one byte store that the head owns; common names carry a `HeaderToken`.
/// A head is made once and reused (`reset`) for message after message, so a steady connection allocates nothing.
/// Pointers it gives out are valid until the next mutation. Confined to one worker loop.
/// `Transfer-Encoding`, `Content-Length` and hop-by-hop fields are in the list as received; engines interpret and rewrite them.
public final class MessageHead {
  /// A range of the byte store.
  public struct Slice: Sendable {
    public var offset: UInt32
    public var length: UInt32

    @inlinable public init(offset: Int, length: Int) {
      self.offset = UInt32(truncatingIfNeeded: offset)
      self.length = UInt32(truncatingIfNeeded: length)
    }

    public static let empty = Slice(offset: 0, length: 0)
    @inlinable public var isEmpty: Bool { length == 0 }
  }

  /// One field line. A removed field stays in place with `isRemoved` set and is skipped by every reader.
  public struct Field: Sendable {
    public var name: Slice
    public var value: Slice
    public var token: HeaderToken
    public var isRemoved = false
    /// Must not enter a compression table (RFC 7541, section 7.1.3).
    public var isNeverIndexed = false

    @inlinable public init(name: Slice, value: Slice, token: HeaderToken) {
      self.name = name
      self.value = value
      self.token = token
    }
  }

  /// Version of the connection the message came by.
  public enum Version: UInt8, Sendable { case http10, http11, http2 }

  // One loop owns a head and no access outlives a call, so the run-time exclusivity checks, 40 % of a head's parsing,
  // would find nothing.
  @exclusivity(unchecked) public var version = Version.http11

  // Request line or pseudo-header fields.
  @exclusivity(unchecked) public var method = Method.get
  /// The method's own bytes; set when `method` is `.other`.
  @exclusivity(unchecked) public var methodBytes = Slice.empty
  /// Origin-form path with query, or `*`. Empty for CONNECT.
  @exclusivity(unchecked) public var path = Slice.empty
  /// Host and optional port: `:authority`, the absolute-form authority, or the `Host` field. Empty if none was sent.
  @exclusivity(unchecked) public var authority = Slice.empty
  /// `http` or `https`. Empty when an origin-form request did not say.
  @exclusivity(unchecked) public var scheme = Slice.empty
  /// RFC 8441 `:protocol`. Empty if absent.
  @exclusivity(unchecked) public var connectProtocol = Slice.empty
  /// Response status code, 0 in a request.
  @exclusivity(unchecked) public var status: UInt16 = 0

  // Fields lie behind a plain pointer: each look at an array would count references, which costs more than the look.
  @exclusivity(unchecked) @usableFromInline var fieldStore: UnsafeMutablePointer<Field>
  @exclusivity(unchecked) @usableFromInline var fieldCount = 0
  @exclusivity(unchecked) var fieldCapacity: Int

  @exclusivity(unchecked) @usableFromInline var store: UnsafeMutableRawPointer
  @exclusivity(unchecked) @usableFromInline var storeCapacity: Int
  @exclusivity(unchecked) @usableFromInline var storeCount = 0

  public init(capacity: Int = 1024) {
    store = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    storeCapacity = capacity
    fieldCapacity = 24
    fieldStore = UnsafeMutablePointer<Field>.allocate(capacity: fieldCapacity)
  }

  deinit {
    store.deallocate()
    fieldStore.deallocate()
  }

  /// Empties the head for the next message and keeps its memory.
  public func reset() {
    version = .http11
    method = .get
    methodBytes = .empty
    path = .empty
    authority = .empty
    scheme = .empty
    connectProtocol = .empty
    status = 0
    storeCount = 0
    fieldCount = 0
  }

  /// The field lines in order; valid until the next mutation.
  @inlinable public var fields: UnsafeBufferPointer<Field> { UnsafeBufferPointer(start: fieldStore, count: fieldCount) }

  /// Bytes held; what header limits count together with 32 per field (RFC 9113, section 6.5.2).
  public var byteCount: Int { storeCount }

  // MARK: - Reading

  @inlinable public func bytes(_ slice: Slice) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: store + Int(slice.offset), count: Int(slice.length))
  }

  /// `: ` and CRLF as they lie in memory. Computed, and so folded: a stored constant would be initialized on demand.
  private static var separator: UInt16 { UInt16(bigEndian: 0x3A20) }
  private static var lineEnd: UInt16 { UInt16(bigEndian: 0x0D0A) }

  /// The whole line of a field, CRLF included, if the store holds it as an encoder would write it: a head that came by
  /// HTTP/1 is stored as it came.
  @inline(__always)
  func line(of field: Field) -> Slice? {
    let colon = Int(field.name.offset) &+ Int(field.name.length)
    let end = Int(field.value.offset) &+ Int(field.value.length)
    guard Int(field.value.offset) == colon &+ 2, end &+ 2 <= storeCount else { return nil }
    guard store.loadUnaligned(fromByteOffset: colon, as: UInt16.self) == Self.separator,
      store.loadUnaligned(fromByteOffset: end, as: UInt16.self) == Self.lineEnd
    else { return nil }
    return Slice(offset: Int(field.name.offset), length: end &+ 2 &- Int(field.name.offset))
  }

  /// The value of the first live field with `token`.
  public func value(_ token: HeaderToken) -> UnsafeRawBufferPointer? {
    for field in fields where field.token == token && !field.isRemoved { return bytes(field.value) }
    return nil
  }

  public func contains(_ token: HeaderToken) -> Bool {
    for field in fields where field.token == token && !field.isRemoved { return true }
    return false
  }

  /// The value of the first live field called `name`, whatever its letter case.
  public func value(named name: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    let token = HeaderToken.lookup(name)
    if token != .other { return value(token) }
    for field in fields where field.token == .other && !field.isRemoved {
      if bytes(field.name).equalsIgnoringCase(name) { return bytes(field.value) }
    }
    return nil
  }

  /// For tests, filters and people; allocates.
  public func value(named name: String) -> String? {
    var name = name
    return name.withUTF8 { value(named: UnsafeRawBufferPointer($0))?.string }
  }

  // MARK: - Writing

  /// Copies `bytes` into the store.
  @discardableResult
  public func intern(_ source: UnsafeRawBufferPointer) -> Slice {
    guard let from = source.baseAddress, source.count > 0 else { return .empty }
    if storeCapacity &- storeCount < source.count {
      // `source` may lie inside the store itself: copy before the old block goes away.
      let capacity = max(storeCapacity * 2, storeCount + source.count)
      let bigger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
      bigger.copyMemory(from: store, byteCount: storeCount)
      (bigger + storeCount).copyMemory(from: from, byteCount: source.count)
      store.deallocate()
      store = bigger
      storeCapacity = capacity
    } else {
      (store + storeCount).copyMemory(from: from, byteCount: source.count)
    }
    defer { storeCount &+= source.count }
    return Slice(offset: storeCount, length: source.count)
  }

  @discardableResult
  public func intern(_ literal: StaticString) -> Slice {
    intern(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
  }

  @discardableResult
  public func intern(string: String) -> Slice {
    var string = string
    return string.withUTF8 { intern(UnsafeRawBufferPointer($0)) }
  }

  /// Appends a field whose name and value are already in the store.
  public func append(_ field: Field) {
    if fieldCount == fieldCapacity { growFields(to: fieldCapacity * 2) }
    (fieldStore + fieldCount).initialize(to: field)
    fieldCount &+= 1
  }

  /// Appends a field and stores it as HTTP/1 writes it, so that lines next to each other go on in one piece
  /// (`line(of:)`). Neither name nor value may lie in this head's store.
  func appendLine(
    _ token: HeaderToken, name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, isNeverIndexed: Bool
  ) {
    let length = name.count &+ value.count &+ 4
    if storeCapacity &- storeCount < length { growStore(by: length) }
    let colon = storeCount &+ name.count
    let end = colon &+ 2 &+ value.count
    if let source = name.baseAddress { (store + storeCount).copyMemory(from: source, byteCount: name.count) }
    store.storeBytes(of: Self.separator, toByteOffset: colon, as: UInt16.self)
    if let source = value.baseAddress { (store + (colon &+ 2)).copyMemory(from: source, byteCount: value.count) }
    store.storeBytes(of: Self.lineEnd, toByteOffset: end, as: UInt16.self)
    var field = Field(
      name: Slice(offset: storeCount, length: name.count), value: Slice(offset: colon &+ 2, length: value.count),
      token: token)
    field.isNeverIndexed = isNeverIndexed
    storeCount = end &+ 2
    append(field)
  }

  private func growStore(by count: Int) {
    let capacity = max(storeCapacity * 2, storeCount + count)
    let bigger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    bigger.copyMemory(from: store, byteCount: storeCount)
    store.deallocate()
    store = bigger
    storeCapacity = capacity
  }

  private func growFields(to capacity: Int) {
    let bigger = UnsafeMutablePointer<Field>.allocate(capacity: capacity)
    bigger.moveInitialize(from: fieldStore, count: fieldCount)
    fieldStore.deallocate()
    fieldStore = bigger
    fieldCapacity = capacity
  }

  /// Appends a field; an `other` name is kept in the letter case given. `value` may lie in the store, `name` may not.
  public func append(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    // First, since the store may move.
    let value = intern(value)
    let name = intern(name)
    append(Field(name: name, value: value, token: HeaderToken.lookup(bytes(name))))
  }

  /// `value` may lie in the store.
  public func append(_ token: HeaderToken, _ value: UnsafeRawBufferPointer) {
    let value = intern(value)
    append(Field(name: intern(token.name), value: value, token: token))
  }

  public func append(_ token: HeaderToken, _ value: StaticString) {
    append(Field(name: intern(token.name), value: intern(value), token: token))
  }

  public func append(_ token: HeaderToken, number: Int) {
    let name = intern(token.name)
    let value = withDecimal(number) { intern($0) }
    append(Field(name: name, value: value, token: token))
  }

  public func append(name: String, value: String) {
    let name = intern(string: name)
    let token = HeaderToken.lookup(bytes(name))
    append(Field(name: name, value: intern(string: value), token: token))
  }

  public func remove(_ token: HeaderToken) {
    for i in 0..<fieldCount where fieldStore[i].token == token { fieldStore[i].isRemoved = true }
  }

  /// The fields of a group, in one pass. True: there were some.
  @discardableResult
  package func removeFields(_ group: HeaderTokenGroup) -> Bool {
    var found = false
    for i in 0..<fieldCount where group.contains(fieldStore[i].token) {
      fieldStore[i].isRemoved = true
      found = true
    }
    return found
  }

  package func containsFields(_ group: HeaderTokenGroup) -> Bool {
    for i in 0..<fieldCount where group.contains(fieldStore[i].token) && !fieldStore[i].isRemoved { return true }
    return false
  }

  public func remove(named name: UnsafeRawBufferPointer) {
    let token = HeaderToken.lookup(name)
    if token != .other { return remove(token) }
    for i in 0..<fieldCount where fieldStore[i].token == .other {
      if bytes(fieldStore[i].name).equalsIgnoringCase(name) { fieldStore[i].isRemoved = true }
    }
  }

  public func removeField(at index: Int) {
    precondition(index >= 0 && index < fieldCount, "no such field")
    fieldStore[index].isRemoved = true
  }

  /// Makes this head a copy of `other`, reusing its own memory.
  public func copy(from other: MessageHead) {
    reset()
    version = other.version
    method = other.method
    methodBytes = other.methodBytes
    path = other.path
    authority = other.authority
    scheme = other.scheme
    connectProtocol = other.connectProtocol
    status = other.status
    if fieldCapacity < other.fieldCount { growFields(to: other.fieldCapacity) }
    fieldStore.initialize(from: other.fieldStore, count: other.fieldCount)
    fieldCount = other.fieldCount
    if storeCapacity < other.storeCount {
      store.deallocate()
      store = UnsafeMutableRawPointer.allocate(byteCount: other.storeCapacity, alignment: 16)
      storeCapacity = other.storeCapacity
    }
    store.copyMemory(from: other.store, byteCount: other.storeCount)
    storeCount = other.storeCount
  }
}

/// Calls `body` with the decimal digits of `number`.
public func withDecimal<R>(_ number: Int, _ body: (UnsafeRawBufferPointer) -> R) -> R {
  withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
    var n = number.magnitude
    var i = 20
    repeat {
      i -= 1
      digits[i] = UInt8(0x30 + n % 10)
      n /= 10
    } while n > 0
    if number < 0 {
      i -= 1
      digits[i] = 0x2D
    }
    return body(UnsafeRawBufferPointer(rebasing: digits[i..<20]))
  }
}
