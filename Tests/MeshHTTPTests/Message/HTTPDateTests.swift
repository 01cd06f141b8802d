import MeshHTTP
import Testing

@Suite("Dates of HTTP") struct HTTPDateTests {
  private static let now: Int64 = 784_111_777

  private static func parse(_ text: String, now: Int64 = now) -> Int64? {
    var text = text
    return text.withUTF8 { HTTPDate.parse(UnsafeRawBufferPointer($0), now: now) }
  }

  @Test("the three forms of RFC 9110, section 5.6.7") func forms() {
    #expect(Self.parse("Sun, 06 Nov 1994 08:49:37 GMT") == Self.now)
    #expect(Self.parse("Sunday, 06-Nov-94 08:49:37 GMT") == Self.now)
    #expect(Self.parse("Sun Nov  6 08:49:37 1994") == Self.now)
  }

  @Test("leap years, and the ends of days and months") func calendar() {
    #expect(Self.parse("Thu, 01 Jan 1970 00:00:00 GMT") == 0)
    #expect(Self.parse("Thu, 29 Feb 2024 23:59:59 GMT") == 1_709_251_199)
    #expect(Self.parse("Fri, 01 Mar 2024 00:00:00 GMT") == 1_709_251_200)
    #expect(Self.parse("Thu, 01 Mar 2100 00:00:00 GMT") == 4_107_542_400)
  }

  @Test("a year of two digits is at most fifty years ahead") func centuries() {
    #expect(Self.parse("Sunday, 06-Nov-44 08:49:37 GMT") == Self.parse("Sun, 06 Nov 2044 08:49:37 GMT"))
    #expect(Self.parse("Sunday, 06-Nov-45 08:49:37 GMT") == Self.parse("Sun, 06 Nov 1945 08:49:37 GMT"))
  }

  @Test(
    "what is no date",
    arguments: [
      "", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 32 Nov 1994 08:49:37 GMT",
      "Sun, 06 Now 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 19940 08:49:37 GMT",
      "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov 1994 08:49:37 GMT x", "1994-11-06T08:49:37Z",
    ]) func malformed(_ text: String)
  {
    #expect(Self.parse(text) == nil)
  }

  @Test("every beginning of a date is read without harm") func prefixes() {
    for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
      for length in 0..<text.utf8.count { _ = Self.parse(String(text.prefix(length))) }
    }
  }
}
