Location: http://other.example/

